//! Indexing anew by whole passes, on a receiver's directory as it lies on a disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::contact::StopSignal;
use highwater_engine::ledger::Who;
use highwater_engine::name::JobName;
use highwater_engine::pass::{Engine, Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::settings::{FilePath, JobSettings};
use highwater_engine::spec::JobSpec;
use highwater_episodes::archive::{CompressionSettings, Limits, Packer, Reader, SEAL_BYTES, Seal, TreeLimits};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::Index as _;
use highwater_episodes::index::{IndexLock, JsonlIndex, Row};
use highwater_episodes::name::{EpisodeId, EpisodeKey, HostId};
use highwater_episodes::reindex::{self, Access as Entry, Files, Outlook, Place, Reindex, ReindexSettings};
use highwater_fs::{RealFs, RelPath};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::sim_clock::SimClock;

use crate::archive::rig::{Tar, compressed, noise};

/// A receiver's directory, and a ledger beside it.
struct House {
    dir: tempfile::TempDir,
    engine: Engine,
    spec: JobSpec,
    settings: ReindexSettings,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("received");
        fs::create_dir_all(root.join("episodes")).unwrap();
        let clock = SimClock::standing("2026-11-21T12:00:00Z".parse().unwrap()).shared();
        let ledger = SqliteLedger::open(dir.path().join("ledger.db"), clock.now(), Access::ReadWrite).unwrap();
        let engine = Engine {
            ledger: Arc::new(ledger),
            clock,
            host: "a".to_owned(),
            pid: std::process::id(),
            who: Who("alice@a".to_owned()),
            stop: StopSignal::default(),
        };
        let spec = JobSpec {
            breaker: reindex::breaker(BreakerRules::default()),
            concurrency: 4,
            ..JobSpec::new(JobName::new("rows").unwrap(), "reindex", Vec::new(), &JobSettings::default())
        };
        Self {
            dir,
            engine,
            spec,
            settings: ReindexSettings { root: FilePath::new(root), hosts: None, verify: false, unpack: false },
        }
    }

    fn file(&self, key: &str) -> PathBuf {
        self.settings.root.join("episodes").join(format!("{key}.tar.zst"))
    }

    /// Stores an episode whose only telemetry is this text.
    fn store(&self, key: &str, text: &str, meta: Option<&str>) {
        let key: EpisodeKey = key.parse().unwrap();
        let recorded = self.dir.path().join("recorded").join(key.to_string());
        fs::create_dir_all(recorded.join("deep")).unwrap();
        fs::write(recorded.join("telemetry.csv"), text).unwrap();
        // In the wrong place: it says nothing.
        fs::write(recorded.join("deep/meta.json"), format!(r#"{{"code_version":{{"commit":"{}"}}}}"#, "f".repeat(40)))
            .unwrap();
        if let Some(meta) = meta {
            fs::write(recorded.join("meta.json"), meta).unwrap();
        }
        let mut bytes = Vec::new();
        let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
        packer.pack(&recorded, &key.episode, &mut bytes).unwrap();
        let file = self.file(&key.to_string());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    async fn pass(&self) -> PassReport {
        let place = Place::open(&self.settings).unwrap();
        Arc::new(Reindex::new(place)).run(&self.engine, &self.spec, Mode::Run).await
    }

    /// A job of its own: what another found is not pinned for it.
    async fn pass_of(&mut self, job: &str) -> PassReport {
        self.spec.name = JobName::new(job).unwrap();
        self.pass().await
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.settings.root.join("index.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn rows(&self) -> Vec<Row> {
        self.lines().iter().filter_map(|line| Row::from_line(line.as_bytes()).ok()).collect()
    }

    fn keys(&self) -> Vec<String> {
        self.rows().iter().map(|row| row.key().to_string()).collect()
    }

    fn index(&self) -> JsonlIndex<RealFs> {
        let root: &Path = &self.settings.root;
        let name = |name: &str| RelPath::new(name).unwrap();
        let lock = IndexLock::at(root.join("index.jsonl.lock"));
        JsonlIndex::open(RealFs::open(root).unwrap(), name("index.jsonl"), name("quarantine"), lock).unwrap().0
    }
}

#[tokio::test]
async fn r10_every_stored_episode_gets_one_row_and_a_second_time_nothing_is_left_to_do() {
    let mut house = House::new();
    let commit = "A".repeat(40);
    house.store("lab-2/ep-1", "two", Some(&format!(r#"{{"code_version":{{"commit":"{commit}"}}}}"#)));
    house.store("lab-1/ep-2", "one b", None);
    house.store("lab-1/ep-1", "one a", Some("not json"));
    fs::write(house.settings.root.join("episodes/lab-1/note.txt"), "no episode").unwrap();
    fs::create_dir_all(house.settings.root.join("episodes/.staging")).unwrap();
    let report = house.pass().await;
    assert_eq!((report.reason, report.counts.done), (Reason::Drained, 3), "{}", report.message);
    assert_eq!(house.keys(), ["lab-1/ep-1", "lab-1/ep-2", "lab-2/ep-1"], "the same id of two hosts is two episodes");
    let rows = house.rows();
    assert!(rows.iter().all(|row| row.backfilled && row.content_sha256.is_some()));
    let commits: Vec<_> = rows.iter().map(|row| row.commit.as_ref().map(ToString::to_string)).collect();
    assert_eq!(commits, [None, None, Some(commit.to_lowercase())], "a meta.json elsewhere says nothing");
    assert_eq!(rows[2].size_bytes, fs::metadata(house.file("lab-2/ep-1")).unwrap().len());

    let before = house.lines();
    assert_eq!(house.pass_of("again").await.reason, Reason::Drained);
    assert_eq!(house.lines(), before);
}

#[tokio::test]
async fn r13_the_rows_are_the_same_bytes_however_many_are_read_at_once() {
    let mut bytes = BTreeSet::new();
    for concurrency in [1, 2, 8] {
        let mut house = House::new();
        for n in 0..12 {
            house.store(&format!("lab-{}/ep-{n}", n % 3), &"x".repeat(n * 1000), None);
        }
        // Their times are part of what they are.
        for n in 0..12 {
            let key = format!("lab-{}/ep-{n}", n % 3);
            let file = house.dir.path().join("recorded").join(&key).join("telemetry.csv");
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
            for name in ["telemetry.csv", "deep/meta.json"] {
                let file = file.parent().unwrap().join(name);
                fs::File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
            }
            let mut packed = Vec::new();
            let mut packer = Packer::new(&CompressionSettings::default(), TreeLimits::default()).unwrap();
            packer.pack(file.parent().unwrap(), &EpisodeId::new(format!("ep-{n}")).unwrap(), &mut packed).unwrap();
            fs::write(house.file(&key), packed).unwrap();
        }
        house.spec.concurrency = concurrency;
        assert_eq!(house.pass().await.counts.done, 12);
        bytes.insert(house.lines());
    }
    assert_eq!(bytes.len(), 1);
}

#[tokio::test]
async fn r14_what_is_no_episode_is_set_aside_and_named_and_the_rest_is_indexed() {
    let house = House::new();
    house.store("lab-1/good", "fine", None);
    for n in 0..5 {
        house.store(&format!("lab-2/ep-{n}"), "fine", None);
    }
    house.store("lab-1/renamed", "fine", None);
    fs::write(house.file("lab-1/text"), "no archive").unwrap();
    fs::write(house.file("lab-1/empty"), "").unwrap();
    let whole = fs::read(house.file("lab-1/good")).unwrap();
    fs::write(house.file("lab-1/cut"), &whole[..whole.len() / 2]).unwrap();
    // The archive of another episode.
    fs::write(house.file("lab-1/renamed"), &whole).unwrap();
    let report = house.pass().await;
    assert_eq!(
        (report.exit, report.counts.done, report.counts.review),
        (ExitCode::Drained, 6, 4),
        "{}",
        report.message
    );
    assert_eq!(house.keys()[..2], ["lab-1/good", "lab-2/ep-0"]);
    let aside: Vec<String> = fs::read_dir(house.settings.root.join("quarantine"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(aside.iter().filter(|name| name.ends_with(".reason")).count(), 4, "{aside:?}");
    assert!(house.file("lab-1/good").exists() && !house.file("lab-1/cut").exists());
}

#[tokio::test]
async fn r05_an_interrupted_pass_keeps_what_it_did_and_the_next_one_goes_on() {
    let mut house = House::new();
    for n in 0..7 {
        house.store(&format!("lab-1/ep-{n}"), "x", None);
    }
    house.spec.budget.items = Some(3);
    for (pass, rows) in [(1, 3), (2, 6), (3, 7)] {
        let report = house.pass().await;
        let exit = if rows == 7 { ExitCode::Drained } else { ExitCode::Checkpoint };
        assert_eq!((report.exit, house.rows().len()), (exit, rows), "pass {pass}");
    }
    assert_eq!(house.keys().into_iter().collect::<BTreeSet<_>>().len(), 7);
}

#[tokio::test]
async fn one_host_alone_is_indexed_where_it_is_named() {
    let mut house = House::new();
    house.store("lab-1/ep", "x", None);
    house.store("lab-2/ep", "x", None);
    house.settings.hosts = Some(vec![HostId::new("lab-2").unwrap()]);
    assert_eq!(house.pass().await.counts.done, 1);
    assert_eq!(house.keys(), ["lab-2/ep"]);
}

#[tokio::test]
async fn verifying_compares_what_has_a_row_and_changes_neither() {
    let mut house = House::new();
    for key in ["lab-1/a", "lab-1/b", "lab-1/c"] {
        house.store(key, key, None);
    }
    house.pass().await;
    let rows = house.lines();
    house.store("lab-1/b", "other bytes", None);
    fs::remove_file(house.file("lab-1/c")).unwrap();
    house.settings.verify = true;
    let report = house.pass_of("verify").await;
    assert_eq!((report.counts.present, report.counts.review), (1, 1), "{}", report.message);
    assert_eq!(report.notes, ["1 row has no stored episode: lab-1/c"]);
    assert_eq!(house.lines(), rows);
    assert!(house.file("lab-1/b").exists(), "what has a row stays where it is");
}

#[tokio::test]
async fn r10_rows_that_another_process_appends_meanwhile_are_not_written_twice() {
    let house = House::new();
    for n in 0..40 {
        house.store(&format!("lab-1/ep-{n:02}"), &format!("{n}"), None);
    }
    // What a receiver does whose episode has its name and not yet its row: the same rows, by a lock and an offset of its own.
    let rows: Vec<Row> = {
        let house = House::new();
        for n in 0..40 {
            house.store(&format!("lab-1/ep-{n:02}"), &format!("{n}"), None);
        }
        house.pass().await;
        house.rows()
    };
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|row| {
            let bytes = fs::read(house.file(&row.key().to_string())).unwrap();
            let sha256 = highwater_episodes::digest::Sha256Digest::of(&bytes);
            Row { backfilled: false, sha256, size_bytes: bytes.len() as u64, ..row }
        })
        .collect();
    let beside = house.index();
    let appending = std::thread::spawn(move || {
        for row in rows.into_iter().rev() {
            beside.append(&[row]).unwrap();
        }
    });
    let report = house.pass().await;
    appending.join().unwrap();
    assert_eq!(report.exit, ExitCode::Drained, "{}", report.message);
    let keys = house.keys();
    assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (40, 40), "each has one row");
}

#[tokio::test]
async fn a_seal_tells_what_unpacking_would_and_is_not_needed() {
    let mut house = House::new();
    let meta = format!(r#"{{"code_version":{{"commit":"{}"}}}}"#, "ab".repeat(20));
    house.store("lab-1/sealed", &"telemetry ".repeat(9_000), Some(&meta));
    let bytes = fs::read(house.file("lab-1/sealed")).unwrap();
    let seal = Seal::read(&bytes[bytes.len() - SEAL_BYTES..]).expect("what is packed here is sealed");
    let key: EpisodeKey = "lab-1/sealed".parse().unwrap();
    let read = Reader::new(Limits::default()).unwrap().read(&bytes[..], None, &key.episode).unwrap();
    assert_eq!(
        (seal.content_sha256, seal.commit.map(|commit| commit.to_string())),
        (read.content_sha256, Some("ab".repeat(20)))
    );
    house.pass().await;
    let sealed = house.rows().remove(0);

    fs::remove_file(house.settings.root.join("index.jsonl")).unwrap();
    fs::write(house.file("lab-1/sealed"), &bytes[..bytes.len() - SEAL_BYTES]).unwrap();
    house.pass_of("without").await;
    let unpacked = house.rows().remove(0);
    assert_eq!((unpacked.content_sha256, &unpacked.commit), (sealed.content_sha256, &sealed.commit));
    assert_eq!(unpacked.size_bytes + SEAL_BYTES as u64, sealed.size_bytes);
}

/// A seal is its host's word, of bytes that are whole: where the host is not to be believed, what is in the archive is.
#[tokio::test]
async fn r14_a_seal_that_lies_is_believed_by_no_pass_that_unpacks() {
    for unpack in [false, true] {
        let mut house = House::new();
        house.settings.unpack = unpack;
        for n in 0..9 {
            house.store(&format!("lab-2/ep-{n}"), "fine", None);
        }
        let meta = |commit: &str| format!(r#"{{"code_version":{{"commit":"{}"}}}}"#, commit.repeat(20));
        house.store("lab-1/old", "telemetry", Some(&meta("aa")));
        house.store("lab-1/junk", "telemetry", None);
        let forge = |key: &str, before: &[u8]| {
            let seal = Seal {
                episode: EpisodeId::new(key.split_once('/').unwrap().1).unwrap(),
                before_sha256: Sha256Digest::of(before),
                content_sha256: Sha256Digest::of(b"invented"),
                commit: Some("bb".repeat(20).parse().unwrap()),
            };
            fs::write(house.file(key), [before, &seal.frame()].concat()).unwrap();
        };
        let old = fs::read(house.file("lab-1/old")).unwrap();
        forge("lab-1/old", &old[..old.len() - SEAL_BYTES]);
        forge("lab-1/junk", b"no archive");
        let report = house.pass().await;
        let old = house.rows().into_iter().find(|row| row.key().to_string() == "lab-1/old").unwrap();
        let commit = if unpack { "aa" } else { "bb" }.repeat(20);
        assert_eq!(old.commit.map(|commit| commit.to_string()), Some(commit));
        assert_eq!(report.counts.review, u64::from(unpack), "{}", report.message);
        assert_eq!(house.file("lab-1/junk").exists(), !unpack);
    }
}

#[tokio::test]
async fn r14_a_sealed_episode_with_one_wrong_bit_is_set_aside() {
    let house = House::new();
    for n in 0..9 {
        house.store(&format!("lab-2/ep-{n}"), "fine", None);
    }
    house.store("lab-1/ep", &"telemetry ".repeat(900), None);
    let mut bytes = fs::read(house.file("lab-1/ep")).unwrap();
    let middle = (bytes.len() - SEAL_BYTES) / 2;
    bytes[middle] ^= 1;
    fs::write(house.file("lab-1/ep"), bytes).unwrap();
    let report = house.pass().await;
    assert_eq!((report.counts.done, report.counts.review), (9, 1), "{}", report.message);
    assert!(!house.file("lab-1/ep").exists());
}

#[tokio::test]
async fn junk_is_set_aside_and_keeps_no_good_episode_from_its_row_in_this_pass_or_the_next() {
    let mut house = House::new();
    for (key, bytes) in [("lab/ep-1", &b"hello"[..]), ("lab/ep-2", b""), ("lab/ep-4", b"junk")] {
        fs::create_dir_all(house.file(key).parent().unwrap()).unwrap();
        fs::write(house.file(key), bytes).unwrap();
    }
    house.store("lab/ep-3", "three", None);
    let report = house.pass_of("first").await;
    assert_eq!(
        (report.exit, report.counts.done, report.counts.review),
        (ExitCode::Drained, 1, 3),
        "{}",
        report.message
    );
    assert_eq!(house.keys(), ["lab/ep-3"]);
    // All of what there is to do is junk: that is no reason to do nothing the next time.
    fs::write(house.file("lab/ep-5"), b"hello").unwrap();
    assert_eq!(house.pass_of("second").await.exit, ExitCode::Drained);
    fs::write(house.settings.root.join("index.jsonl"), b"").unwrap();
    let report = house.pass_of("third").await;
    assert_eq!((report.exit, house.keys()), (ExitCode::Drained, vec!["lab/ep-3".to_owned()]), "{}", report.message);
}

#[tokio::test]
async fn r14_where_most_of_what_is_read_is_no_episode_it_is_left_where_it_is() {
    let house = House::new();
    let names: Vec<_> = (0..70).map(|n| format!("lab/x-{n:02}")).collect();
    fs::create_dir_all(house.file(&names[0]).parent().unwrap()).unwrap();
    for name in &names {
        fs::write(house.file(name), b"somebody's notes").unwrap();
    }
    house.store("lab/zz", "zz", None);
    let report = house.pass().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 70), "{}", report.message);
    let left = names.iter().filter(|name| house.file(name).exists()).count();
    assert_eq!((left, house.keys()), (20, vec!["lab/zz".to_owned()]), "fifty are set aside, then none");
}

#[test]
fn the_outlook_says_what_would_be_set_aside() {
    let house = House::new();
    house.store("lab/a", "a", None);
    house.store("lab/whole", &"text ".repeat(400_000), None);
    fs::write(house.file("lab/b"), b"hello").unwrap();
    fs::write(house.file("lab/c"), b"").unwrap();
    fs::copy(house.file("lab/a"), house.file("lab/d")).unwrap();
    // As an older shipper packs it, and more of it than is looked at.
    let bytes = compressed(&Tar::default().entry(b'0', "e/noise", &noise(4 << 20, 7)).end());
    fs::write(house.file("lab/e"), &bytes).unwrap();
    assert!(bytes.len() > 1 << 20);
    fs::write(house.file("lab/f"), &bytes).unwrap();
    let files = Files::of_root(&house.settings.root);
    let mut told = Vec::new();
    Place::open_at(&files, &house.settings, Entry::Look, None)
        .unwrap()
        .outlook(|outlook| {
            told.push(match outlook {
                Outlook::Index(key) => format!("index {key}"),
                Outlook::Aside(key, why) => format!("aside {key}: {why}"),
                other => panic!("{other:?}"),
            });
        })
        .unwrap();
    let starts = [
        "index lab/a",
        "aside lab/b: it is no zstd",
        "aside lab/c: ",
        "aside lab/d: it was packed as a",
        "index lab/e",
        "aside lab/f: entry 1, \"e/noise\": it is not in a directory \"f\"",
        "index lab/whole",
    ];
    assert_eq!(told.len(), starts.len(), "{told:?}");
    assert!(told.iter().zip(starts).all(|(told, start)| told.starts_with(start)), "{told:?}");
    assert!(house.file("lab/b").exists() && house.lines().is_empty(), "nothing was written");
}
