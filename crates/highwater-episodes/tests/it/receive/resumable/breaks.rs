//! What breaks: connections, the receiver, the power, the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use highwater_episodes::index::{Cursor, IndexLock, JsonlIndex};
use highwater_episodes::receive::commit::{Became, Wish, round};
use highwater_episodes::receive::gate::Off;
use highwater_episodes::store::{FileStore, Store as _, UploadId};
use highwater_fs::{Fs, RelPath};
use highwater_testkit::sim_fs::{
    Fault, FaultKind, Scenario, SimFs, Survival, crash_everywhere, forget_each_sync, tree,
};
use jiff::Timestamp;

use super::super::rig::{Rig, WAIT};
use super::hex;
use crate::rows::{key, path, row};

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_a_body_that_breaks_off_is_kept() {
    let rig = Rig::new().await;
    let bytes = noise(3 << 20);
    let place = rig.begun("a", bytes.len()).await;
    let file = rig.left().into_iter().find(|name| name.ends_with(".upload")).unwrap();
    let file = rig.path("episodes/.staging").join(file);
    let mut offset = 0;
    for part in [1, 700_000, 1_100_000] {
        drop(rig.half(&place, offset, bytes.len() - offset, &bytes[offset..offset + part]).await);
        offset += part;
        // Whoever asks before all of it came takes it over, and the rest of it is read by nobody.
        let came = async {
            while fs::metadata(&file).unwrap().len() != offset as u64 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT, came).await.expect("all that was sent is written");
        assert_eq!(rig.offset(&place).await, Some(offset));
    }
    assert_eq!(rig.patch(&place, offset, &bytes[offset..]).await.status, 204);
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_is_refused_and_one_that_asks_where_it_is_takes_it_over() {
    let rig = Rig::new().await;
    let bytes = noise(2 << 20);
    let sent = 1 << 20;
    let place = rig.begun("a", bytes.len()).await;
    let mut first = rig.half(&place, 0, bytes.len(), &bytes[..sent]).await;
    // Only who has it in hand writes to its file.
    let file = rig.left().into_iter().find(|name| name.ends_with(".upload")).unwrap();
    let file = rig.path("episodes/.staging").join(file);
    let held = async {
        while fs::metadata(&file).unwrap().len() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, held).await.expect("the first has it in hand");
    let refused = rig.patch(&place, 0, b"").await;
    assert_eq!(refused.status, 423, "{refused:?}");
    assert_eq!(refused.code(), "upload-held");
    let offset = rig.offset(&place).await.unwrap();
    assert!(offset <= sent);
    let told = first.answer(false).await;
    assert_eq!((told.status, told.code().as_str()), (423, "upload-taken"));
    assert_eq!(rig.patch(&place, offset, &bytes[offset..]).await.status, 204);
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), bytes);
    assert_eq!(rig.rows().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_after_a_restart_and_may_take_other_bytes_back() {
    let rig = Rig::new().await;
    let bytes = noise(6 << 20);
    let place = rig.begun("a", bytes.len()).await;
    assert_eq!(rig.patch(&place, 0, &bytes[..5 << 20]).await.status, 204);
    let file = rig.left().into_iter().find(|name| name.ends_with(".upload")).unwrap();
    let file = rig.path("episodes/.staging").join(file);
    // What nobody was told of, as a power cut in mid-request leaves it.
    let dir = rig.end().await;
    fs::write(&file, [&bytes[..5 << 20], &[0; 9_000]].concat()).unwrap();
    let rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
    assert_eq!(rig.offset(&place).await, Some(5 << 20), "and what nobody vouches for is cut off");
    assert_eq!(fs::metadata(&file).unwrap().len(), 5 << 20);
    // A damaged byte in what was told: only what came before the last good mark is there.
    let dir = rig.end().await;
    let mut damaged = fs::read(&file).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&file, damaged).unwrap();
    let rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
    let offset = rig.offset(&place).await.unwrap();
    assert!(offset < 5 << 20);
    assert_eq!(rig.patch(&place, offset, &bytes[offset..]).await.status, 204);
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), bytes);
    // Its end is told after a restart too.
    let rig = Rig::start(rig.end().await, Arc::new(Off), |_| {}).await;
    assert_eq!(rig.offset(&place).await, Some(6 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_longer_than_it_is_known_to_be_is_looked_at_anew() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 10).await;
    assert_eq!(rig.patch(&place, 0, b"12345").await.status, 204);
    let file = rig.left().into_iter().find(|name| name.ends_with(".upload")).unwrap();
    // As a receiver that was told to end may still write.
    fs::write(rig.path("episodes/.staging").join(file), b"12345late").unwrap();
    assert_eq!(rig.patch(&place, 5, b"67890").await.status, 204);
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), b"1234567890");
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_an_upload_that_is_whole_and_not_stored_is_stored_before_anyone_is_told() {
    let rig = Rig::new().await;
    let place = rig.begun("a", 10).await;
    assert_eq!(rig.patch(&place, 0, b"12345").await.status, 204);
    // A crash between the last byte and its end: as the store has it then.
    let id: UploadId = place.rsplit('/').next().unwrap().parse().unwrap();
    let dir = rig.end().await;
    {
        let real = highwater_fs::RealFs::open(dir.path()).unwrap();
        let store = FileStore::open_to_write(real, &RelPath::root(), path("quarantine")).unwrap();
        let mut partial = store.partials().unwrap().resume(&id, None, Timestamp::UNIX_EPOCH).unwrap().unwrap();
        partial.append(b"67890").unwrap();
        partial.settle("2126-01-01T00:00:00Z".parse().unwrap()).unwrap();
    }
    let rig = Rig::start(dir, Arc::new(Off), |_| {}).await;
    assert_eq!((rig.files(), rig.rows()), (vec![], vec![]));
    assert_eq!(rig.offset(&place).await, Some(10));
    assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), b"1234567890");
    assert_eq!(rig.rows().len(), 1);
}

/// One upload: begun, its first part, its last part with its end.
struct Upload;

const BYTES: usize = 3_000;
const PARTS: [usize; 3] = [1_000, 1_700, 300];

struct Receiver<'a> {
    store: FileStore<&'a dyn Fs>,
    index: JsonlIndex<&'a dyn Fs>,
}

fn open(fs: &dyn Fs) -> Result<Receiver<'_>, String> {
    let quarantine = path("quarantine");
    let store = FileStore::open_to_write(fs, &RelPath::root(), quarantine.clone()).map_err(|e| e.to_string())?;
    let index = JsonlIndex::open(fs, path("index.jsonl"), quarantine, IndexLock::alone()).map_err(|e| e.to_string())?;
    Ok(Receiver { store, index: index.0 })
}

fn id() -> UploadId {
    UploadId::new(7)
}

impl Receiver<'_> {
    /// How far the upload is, as whoever asks is told; `None` where there is none.
    fn offset(&self) -> Option<u64> {
        let partials = self.store.partials().unwrap();
        let found = partials.found().unwrap().into_iter().find(|found| found.id == id())?;
        if found.retired {
            return (found.marked_bytes == Some(BYTES as u64)).then_some(BYTES as u64);
        }
        let partial = partials.resume(&id(), None, Timestamp::UNIX_EPOCH).unwrap().unwrap();
        Some(partial.progress().bytes())
    }

    /// Does what is left of it; how many steps were acknowledged.
    fn go_on(&self) -> usize {
        let (bytes, partials) = (noise(BYTES), self.store.partials().unwrap());
        let Ok(found) = partials.found() else { return 0 };
        let known = found.iter().find(|found| found.id == id());
        // As the receiver: a record without bytes that is not whole is nothing.
        let known = match known {
            Some(found) if found.retired && found.marked_bytes == Some(BYTES as u64) => return 1 + PARTS.len(),
            Some(found) if found.retired => {
                if partials.forget(&id()).is_err() {
                    return 0;
                }
                None
            }
            known => known,
        };
        if known.is_none() && partials.begin(&id(), "about it").is_err() {
            return 0;
        }
        // From the first part to the second its progress is known, to the third it is looked for.
        let mut at = None;
        for (part, steps) in (0..PARTS.len()).zip(1..) {
            let end: usize = PARTS[..=part].iter().sum();
            let Ok(Some(mut partial)) = partials.resume(&id(), at.take(), Timestamp::UNIX_EPOCH) else { return steps };
            let from = usize::try_from(partial.progress().bytes()).unwrap();
            if from < end {
                // In two pieces, as bodies come.
                let middle = from.midpoint(end);
                let written = partial.append(&bytes[from..middle]).and_then(|()| partial.append(&bytes[middle..end]));
                if written.is_err() {
                    return steps;
                }
                if partial.settle(Timestamp::UNIX_EPOCH).is_err() {
                    // As the receiver: what a disk did not take is trusted by nobody.
                    let _ = partials.forget(&id());
                    return 0;
                }
            }
            if part == 0 {
                at = partials.known(&id(), partial.progress().clone()).ok().flatten();
            }
            if end == BYTES {
                assert_eq!(partial.progress().sha256(), highwater_episodes::digest::Sha256Digest::of(&bytes));
                let wish = Wish::Place { staging: partial.into_staging(), row: row("lab/a", &bytes) };
                match round(&self.store, &self.index, vec![wish]).ends.remove(0) {
                    Ok(Became::Stored | Became::Present { .. }) => {}
                    // It is there already: the same bytes, so it keeps its row, or gets one.
                    Ok(Became::Occupied { .. }) => {
                        let mut stored = Vec::new();
                        self.store.read(&key("lab/a"), 0).unwrap().unwrap().read_to_end(&mut stored).unwrap();
                        assert_eq!(stored, bytes, "it is torn");
                        let keep = Wish::Keep { row: row("lab/a", &bytes) };
                        let kept = round(&self.store, &self.index, vec![keep]).ends.remove(0);
                        if !matches!(kept, Ok(Became::Present { .. })) {
                            return steps;
                        }
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => return steps,
                }
                if partials.retire(&id()).is_err() {
                    return steps;
                }
            }
        }
        1 + PARTS.len()
    }
}

impl Scenario for Upload {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        open(&fs).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        1 + PARTS.len()
    }

    fn work(&self, fs: &SimFs) -> usize {
        open(fs).map_or(0, |receiver| receiver.go_on())
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        open(fs).map(drop)
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let bytes = noise(BYTES);
        let told: usize = PARTS[..acknowledged.saturating_sub(1)].iter().sum();
        let files: BTreeMap<String, Vec<u8>> =
            tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path.to_string(), bytes?))).collect();
        let receiver = open(fs)?;
        let offset = receiver.offset();
        let rows =
            receiver.index.rows(Cursor::default()).unwrap().filter(|line| line.as_ref().unwrap().is_ok()).count();
        let stored = files.get("episodes/lab/a.tar.zst");
        if stored.is_some_and(|stored| *stored != bytes) {
            return Err("the episode is torn".to_owned());
        }
        if rows > 1 || (rows == 1 && stored.is_none()) {
            return Err(format!("{rows} rows, and an episode: {}", stored.is_some()));
        }
        if acknowledged >= 1 && offset.is_none() {
            return Err("an upload that was begun is lost".to_owned());
        }
        if offset.is_some_and(|offset| offset < told as u64) {
            return Err(format!("{told} bytes were told of, and {offset:?} are there"));
        }
        if acknowledged == self.steps() && (stored.is_none() || rows != 1) {
            return Err("its end was told, and it is not stored and indexed".to_owned());
        }
        let retired = receiver.store.partials().unwrap().found().unwrap().iter().any(|found| found.retired);
        if retired && offset.is_some() && (stored.is_none() || rows != 1) {
            return Err("it is taken for ended, and is not stored and indexed".to_owned());
        }
        // Whatever is there is the beginning of what was sent.
        if let (Some(offset), Some(kept)) = (offset, files.iter().find(|(path, _)| path.ends_with(".upload"))) {
            let offset = usize::try_from(offset).unwrap();
            if kept.1.get(..offset) != Some(&bytes[..offset]) {
                return Err("what is there is not what was sent".to_owned());
            }
        }
        Ok(())
    }
}

/// Changes a file until its file system's clock tells that it was changed.
fn until_told(file: &Path, change: impl Fn()) {
    let changed = || fs::metadata(file).map(|meta| (meta.ino(), meta.ctime(), meta.ctime_nsec())).unwrap();
    let before = changed();
    while changed() == before {
        change();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_somebody_changes_between_two_parts_are_not_taken_for_what_was_sent() {
    let (bytes, other) = (noise(9_000), vec![7; 50]);
    for is_replaced in [false, true] {
        for declared in [false, true] {
            let rig = Rig::new().await;
            let (sha256, size) = (hex(&bytes), bytes.len());
            let mut pairs = vec![("host", "lab"), ("episode", "a")];
            pairs.extend(declared.then_some(("sha256", &*sha256)));
            let place = rig.post(size, &pairs).await.header("location").unwrap().to_owned();
            assert_eq!(rig.patch(&place, 0, &bytes[..4_000]).await.status, 204);
            let file = rig.left().into_iter().find(|name| name.ends_with(".upload")).unwrap();
            let (file, beside) = (rig.path("episodes/.staging").join(file), rig.path("beside"));
            until_told(&file, || match is_replaced {
                true => {
                    fs::write(&beside, [&bytes[..3_950], &other].concat()).unwrap();
                    fs::rename(&beside, &file).unwrap();
                }
                false => fs::OpenOptions::new().write(true).open(&file).unwrap().write_all_at(&other, 100).unwrap(),
            });
            let refused = rig.patch(&place, 4_000, &bytes[4_000..]).await;
            assert_eq!((refused.status, refused.code().as_str()), (409, "wrong-offset"), "{refused:?}");
            assert_eq!(rig.offset(&place).await, Some(0), "as after a restart");
            assert_eq!(rig.patch(&place, 0, &bytes).await.status, 204);
            assert_eq!(fs::read(rig.path("episodes/lab/a.tar.zst")).unwrap(), bytes);
        }
    }
}

#[test]
fn r09_an_upload_in_parts_survives_a_crash_at_any_operation() {
    let tally = crash_everywhere(&Upload).unwrap_or_else(|found| panic!("{found}"));
    assert!(tally.disks > 100, "{tally:?}");
}

#[test]
fn r09_a_disk_that_fails_makes_nothing_that_is_told_of_an_upload_a_lie() {
    let rehearsal = Upload.before();
    let before = rehearsal.trace().len();
    assert_eq!(Upload.work(&rehearsal), Upload.steps());
    for kind in [FaultKind::Eio, FaultKind::Enospc, FaultKind::ShortWrite, FaultKind::LostAnswer] {
        for at in before..rehearsal.trace().len() {
            let fs = Upload.before();
            fs.inject(Fault::once(at, kind));
            // As senders do: again, until it is answered.
            let done = (0..4).map(|_| Upload.work(&fs)).max();
            assert_eq!(done, Some(Upload.steps()), "{kind:?} at {at}");
            let after = fs.reboot(Survival::Nothing);
            Upload.recover(&after).unwrap();
            Upload.check(&after, Upload.steps()).unwrap_or_else(|why| panic!("{why}: {kind:?} at {at}"));
        }
    }
}

#[test]
fn r09_every_sync_of_an_upload_in_parts_is_needed() {
    let omissions = forget_each_sync(&Upload).unwrap_or_else(|found| panic!("{found}"));
    let in_work = omissions.iter().filter(|omission| !omission.in_recovery);
    let needed: Vec<_> = in_work.filter(|o| o.noticed.is_some()).map(|o| o.step.to_string()).collect();
    for step in [".upload", ".record", "sync directory episodes/lab", "sync index.jsonl"] {
        assert!(needed.iter().any(|needed| needed.contains(step)), "{step}: {needed:?}");
    }
}
