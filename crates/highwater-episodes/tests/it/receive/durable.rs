//! R9: whatever was answered would survive a power cut, at any operation.

use std::collections::BTreeMap;
use std::io::Read as _;

use highwater_episodes::index::{Cursor, Index, IndexLock, JsonlIndex};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::receive::commit::{Became, Wish, round};
use highwater_episodes::store::{FileStore, Store};
use highwater_fs::{Fs, Mode, RelPath};
use highwater_testkit::sim_fs::{
    Fault, FaultKind, Scenario, SimFs, Survival, crash_everywhere, forget_each_sync, tree,
};

use crate::rows::{key, path, row};

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

fn archive(of: &str) -> Vec<u8> {
    of.as_bytes().repeat(300)
}

impl Receiver<'_> {
    fn upload(&self, of: &str) -> Option<Wish> {
        let mut staging = self.store.stage().ok()?;
        let written = staging.append(&archive(of)).and_then(|()| staging.sync());
        if written.is_err() {
            self.store.discard(staging);
            return None;
        }
        Some(Wish::Place { staging, row: row(of, &archive(of)) })
    }

    /// One round of several uploads, as the receiver does it; says which were answered with 201 or 200.
    fn round(&self, of: &[&str]) -> Vec<bool> {
        let wishes: Option<Vec<_>> = of.iter().map(|of| self.upload(of)).collect();
        let Some(wishes) = wishes else { return vec![false; of.len()] };
        let round = round(&self.store, &self.index, wishes);
        round.spent.into_iter().for_each(|copy| self.store.discard(copy));
        let answered = |(end, of): (_, &&str)| match end {
            Ok(Became::Stored | Became::Present { .. }) => true,
            // It is there already: the same bytes, so it keeps its row, or gets one.
            Ok(Became::Occupied { staging, .. }) => {
                self.store.discard(staging);
                let mut stored = Vec::new();
                self.store.read(&key(of), 0).unwrap().unwrap().read_to_end(&mut stored).unwrap();
                assert_eq!(stored, archive(of), "{of} is torn");
                let keep = Wish::Keep { row: row(of, &archive(of)) };
                let again = super::durable::round(&self.store, &self.index, vec![keep]);
                matches!(again.ends[0], Ok(Became::Present { .. }))
            }
            Ok(other) => panic!("{of}: {other:?}"),
            Err(_) => false,
        };
        round.ends.into_iter().zip(of).map(answered).collect()
    }
}

/// Two rounds: one episode in two copies; then one of the same host and one of another.
struct Uploads;

const ROUNDS: [&[&str]; 2] = [&["lab/a", "lab/a"], &["lab2/a", "lab/b"]];

impl Scenario for Uploads {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        open(&fs).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        ROUNDS.len()
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok(receiver) = open(fs) else { return 0 };
        ROUNDS.iter().take_while(|of| receiver.round(of).iter().all(|answered| *answered)).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        open(fs).map(drop)
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let files: BTreeMap<RelPath, Vec<u8>> =
            tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
        let receiver = open(fs)?;
        let stored = |key: &EpisodeKey| files.get(&receiver.store.path_of(key).unwrap());
        for of in ROUNDS[..acknowledged].concat() {
            if stored(&key(of)).is_none_or(|bytes| *bytes != archive(of)) {
                return Err(format!("{of} was answered, and its bytes are lost"));
            }
            if receiver.index.find(&key(of)).unwrap().is_none() {
                return Err(format!("{of} was answered, and its row is lost"));
            }
        }
        for (place, bytes) in &files {
            let of = place.to_string();
            if let Some(of) = of.strip_prefix("episodes/").and_then(|of| of.strip_suffix(".tar.zst"))
                && *bytes != archive(of)
            {
                return Err(format!("{of} is torn"));
            }
        }
        let mut keys = Vec::new();
        for line in receiver.index.rows(Cursor::default()).unwrap() {
            let Ok(row) = line.unwrap() else { continue };
            if stored(&row.key()).is_none() {
                return Err(format!("{} has a row and is nowhere", row.key()));
            }
            keys.push(row.key());
        }
        let rows = keys.len();
        keys.sort();
        keys.dedup();
        if keys.len() == rows { Ok(()) } else { Err("an episode has two rows".to_owned()) }
    }
}

#[test]
fn r09_what_was_answered_survives_a_crash_at_any_operation() {
    let tally = crash_everywhere(&Uploads).unwrap_or_else(|found| panic!("{found}"));
    assert!(tally.disks > 50, "{tally:?}");
}

#[test]
fn r09_every_sync_of_an_upload_is_needed() {
    let omissions = forget_each_sync(&Uploads).unwrap_or_else(|found| panic!("{found}"));
    let in_work = omissions.iter().filter(|omission| !omission.in_recovery);
    let unneeded: Vec<_> = in_work.filter(|o| o.noticed.is_none()).map(|o| o.step.to_string()).collect();
    // Two of directories that were there before, which a receiver that starts cannot know; and that of the second copy of an episode,
    // which was not needed.
    assert_eq!(unneeded, ["sync directory .", "sync directory episodes", "sync episodes/.staging/1.partial"]);
    for step in ["sync directory episodes/lab", "sync directory episodes/lab2", "sync index.jsonl"] {
        let noticed = omissions.iter().any(|o| !o.in_recovery && o.step.to_string() == step && o.noticed.is_some());
        assert!(noticed, "{step}: {omissions:?}");
    }
}

#[test]
fn r09_a_disk_that_fails_once_makes_no_answer_a_lie() {
    let rehearsal = Uploads.before();
    let before = rehearsal.trace().len();
    assert_eq!(Uploads.work(&rehearsal), ROUNDS.len());
    for kind in [FaultKind::Eio, FaultKind::Enospc, FaultKind::ShortWrite, FaultKind::LostAnswer] {
        for at in before..rehearsal.trace().len() {
            let fs = Uploads.before();
            let receiver = open(&fs.reboot(Survival::Everything)).is_ok();
            assert!(receiver);
            fs.inject(Fault::once(at, kind));
            // As senders do: again, until it is answered.
            let done = (0..3).map(|_| Uploads.work(&fs)).max();
            assert_eq!(done, Some(ROUNDS.len()), "{kind:?} at {at}");
            let after = fs.reboot(Survival::Nothing);
            Uploads.recover(&after).unwrap();
            Uploads.check(&after, ROUNDS.len()).unwrap_or_else(|why| panic!("{why}: {kind:?} at {at}"));
        }
    }
}

/// What is stored is damaged, and the same episode is sent again.
struct Mends;

const DAMAGED: &[u8] = b"what a disk left of it";

impl Scenario for Mends {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        let receiver = open(&fs).unwrap();
        assert_eq!(receiver.round(&["lab/a"]), [true]);
        let file = receiver.store.path_of(&key("lab/a")).unwrap();
        fs.unlink(&file).unwrap();
        let mut damaged = fs.create(&file, Mode::Umask).unwrap();
        damaged.append(DAMAGED).unwrap();
        damaged.sync().unwrap();
        fs.sync_dir(&path("episodes/lab")).unwrap();
        drop(receiver);
        fs
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok(receiver) = open(fs) else { return 0 };
        let Some(wish) = receiver.upload("lab/a") else { return 0 };
        let mut ended = round(&receiver.store, &receiver.index, vec![wish]);
        let mut end = ended.ends.remove(0);
        if let Ok(Became::Occupied { staging, row: Some(damaged) }) = end {
            let why = "damaged".to_owned();
            let mend = Wish::Mend { staging, row: row("lab/a", &archive("lab/a")), damaged, why };
            ended = round(&receiver.store, &receiver.index, vec![mend]);
            end = ended.ends.remove(0);
        }
        usize::from(matches!(end, Ok(Became::Stored | Became::Present { .. })))
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        open(fs).map(drop)
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let files: Vec<(String, Vec<u8>)> =
            tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path.to_string(), bytes?))).collect();
        let stored = files.iter().find(|(path, _)| path == "episodes/lab/a.tar.zst").map(|(_, bytes)| &**bytes);
        if !files.iter().any(|(_, bytes)| bytes == DAMAGED) {
            return Err("what was damaged is nowhere".to_owned());
        }
        match stored {
            Some(bytes) if bytes == archive("lab/a") => Ok(()),
            _ if acknowledged > 0 => Err("it was answered, and is not there whole".to_owned()),
            Some(bytes) if bytes != DAMAGED => Err("it is torn".to_owned()),
            _ => Ok(()),
        }
    }
}

#[test]
fn r09_r14_a_crash_while_a_damaged_episode_is_mended_loses_neither_what_was_told_nor_what_was_there() {
    let tally = crash_everywhere(&Mends).unwrap_or_else(|found| panic!("{found}"));
    assert!(tally.disks > 20, "{tally:?}");
}
