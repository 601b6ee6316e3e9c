//! Whatever a person, a receiver, a clock and a ledger do to what was shipped, in whatever order: of nothing the last copy goes, and what the
//! receiver has goes in the end.
//!
//! Around each pass: what it removed from `shipped/`, the receiver has. At the end, with a receiver that
//! answers: what is still there is what must be, and what is told as lost is what is. `HIGHWATER_SEQUENCES` says how many sequences,
//! `HIGHWATER_SEED` which is the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::ledger::{DonePlace, Who, Word};
use highwater_engine::report::ExitCode;
use highwater_engine::settings::DurationText;
use highwater_episodes::archive::{ArchiveContent, Extent, TreeLimits, content_of};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::name::{EpisodeId, EpisodeKey, HostId};
use highwater_episodes::receive::gate::Off;
use highwater_episodes::receive::open_files;
use highwater_episodes::ship::{Keep, KeepBy, MARKER, Outbox, Receipt, Shelves, lost, resolve};
use highwater_episodes::store::ContentHash as _;
use highwater_episodes::withdraw::{Name, withdraw};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::sim_clock::SimClock;

use crate::keep::{DAY_SECS, PROBLEM};
use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

/// Sequences that every run goes through, and acts of each.
const SEQUENCES: u64 = 24;
const ACTS: usize = 40;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// Each episode holds so much, whatever it is.
const BYTES: usize = 100;
const SHELF: &str = "outbox/.shelf.json";

/// Who answers where the receiver was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Far {
    Receiver,
    Page,
    Empty,
    Broken,
    Portal,
    /// It has nothing, and says so as a receiver does.
    Nothing,
    WithdrewUnnamed,
    WithdrewAnother,
    HasAnother,
    Busy,
    SendsOn,
    NobodyThere,
}

const OTHERS: [Far; 11] = [
    Far::Page,
    Far::Empty,
    Far::Broken,
    Far::Portal,
    Far::Nothing,
    Far::WithdrewUnnamed,
    Far::WithdrewAnother,
    Far::HasAnother,
    Far::Busy,
    Far::SendsOn,
    Far::NobodyThere,
];

impl Far {
    fn says(self) -> String {
        let others = "ab".repeat(32);
        let named = format!("ETag: \"{others}\"\r\nX-Episode-Content-Sha256: {others}\r\n");
        match self {
            Self::Page => say(200, "Content-Type: text/html\r\n"),
            Self::Empty => say(404, ""),
            Self::Portal => say(200, "Content-Type: application/captive+json\r\n"),
            Self::Nothing => say(404, PROBLEM),
            Self::WithdrewUnnamed => say(410, PROBLEM),
            Self::WithdrewAnother => say(410, &format!("{PROBLEM}{named}")),
            Self::HasAnother => say(200, &format!("{named}X-Episode-Verified: read\r\n")),
            Self::Busy => say(503, ""),
            Self::Receiver | Self::Broken | Self::SendsOn | Self::NobodyThere => String::new(),
        }
    }
}

/// Of what a receiver has: the contents, by the names of host and episode.
type Contents = BTreeMap<(String, String), Sha256Digest>;

struct Life {
    rig: Option<Rig>,
    host: Host,
    clock: Arc<SimClock>,
    far: Far,
    dice: fastrand::Rng,
    log: Vec<String>,
    texts: usize,
    /// What the archives hold that the receiver had rows of.
    whole: BTreeMap<Sha256Digest, Sha256Digest>,
    /// Copies of the ledger, of the note, and of the receiver's root.
    ledgers: usize,
    root_copies: Option<PathBuf>,
}

impl Life {
    async fn new(seed: u64) -> Self {
        let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
        let rig = Rig::real_in(dir(), Arc::new(Off), |_| {}).await;
        let mut host = Host::within(dir(), rig.address, clock.shared());
        host.settings.keep_time = Some(DurationText::days(10));
        let dice = fastrand::Rng::with_seed(seed);
        let log = vec![format!("seed {seed}")];
        Self {
            rig: Some(rig),
            host,
            clock,
            far: Far::Receiver,
            dice,
            log,
            texts: 0,
            whole: BTreeMap::new(),
            ledgers: 0,
            root_copies: None,
        }
    }

    fn root(&self, below: &str) -> PathBuf {
        self.rig.as_ref().unwrap().path(below)
    }

    fn shipped(&self, name: &str) -> PathBuf {
        self.host.path("shipped").join(name)
    }

    fn recorded(&self, name: &str) -> PathBuf {
        self.host.path("episodes").join(name)
    }

    fn stored(&self, host: &str, name: &str) -> PathBuf {
        self.root(&format!("episodes/{host}/{name}.tar.zst"))
    }

    /// What is in `shipped/`, by its names.
    fn shelf(&self) -> BTreeMap<String, Sha256Digest> {
        let names = self.host.names("shipped").into_iter();
        names.map(|name| (name.clone(), content(&self.shipped(&name)).unwrap())).collect()
    }

    /// What the receiver's files hold, read now; of these alone, where some are given by their bytes.
    fn has(&self, whole: Option<&BTreeMap<Sha256Digest, Sha256Digest>>) -> Contents {
        let files = self.rig.as_ref().unwrap().files().into_iter();
        files
            .filter_map(|file| {
                let (host, name) = file.strip_suffix(".tar.zst")?.split_once('/')?;
                let path = self.root("episodes").join(&file);
                let extent = Extent { size_bytes: fs::metadata(&path).ok()?.len(), is_sealed: true };
                let id = EpisodeId::new(name).ok()?;
                let bytes = Sha256Digest::of(&fs::read(&path).ok()?);
                whole.is_none_or(|whole| whole.contains_key(&bytes)).then_some(())?;
                let held = ArchiveContent::default().of(&id, &mut File::open(&path).ok()?, extent).ok()?;
                Some(((host.to_owned(), name.to_owned()), held))
            })
            .collect()
    }

    /// Ends the receiver, does something to its root, and starts it again.
    async fn below(&mut self, act: impl AsyncFnOnce(&Path)) {
        let rig = self.rig.take().unwrap();
        let address = rig.address;
        let dir = rig.end().await;
        act(dir.path()).await;
        self.rig = Some(Rig::real_in(dir, Arc::new(Off), |settings| settings.listen = address).await);
    }

    /// Something that a person does at the lab; whether it could be done.
    fn person(&mut self, act: u8, name: &str) -> bool {
        let (recorded, shipped) = (self.recorded(name), self.shipped(name));
        match act {
            0..=4 if !recorded.exists() => {
                self.texts += usize::from(self.texts == 0 || self.dice.u8(..5) > 0);
                self.host.record(name, &format!("{:0BYTES$}", self.texts), None);
            }
            5 | 6 if shipped.exists() && !recorded.exists() => fs::rename(shipped, recorded).unwrap(),
            7 if shipped.exists() => {
                self.texts += 1;
                fs::write(shipped.join("telemetry.csv"), format!("{:0BYTES$}", self.texts)).unwrap();
            }
            8 if shipped.exists() => {
                let at = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + self.dice.u64(..9));
                File::options().append(true).open(shipped.join(MARKER)).unwrap().set_modified(at).unwrap();
            }
            9 if shipped.exists() => fs::remove_dir_all(shipped).unwrap(),
            10 => {
                let days = [None, Some(2), Some(10)][self.dice.usize(..3)];
                self.host.settings.keep_time = days.map(DurationText::days);
                let most = [None, Some("150B"), Some("250B")][self.dice.usize(..3)];
                self.host.settings.keep_size = most.map(|most| most.parse().unwrap());
                self.host.settings.keep_by = if self.dice.u8(..4) == 0 { KeepBy::Receipt } else { KeepBy::Answer };
            }
            // Ends a conflict: what the receiver has stays.
            12 => {
                let shelves = Shelves { episodes: self.host.path("episodes"), shipped: self.host.path("shipped") };
                let outbox = Outbox::open(&self.host.path("outbox")).unwrap();
                if resolve(&shelves, &outbox, &EpisodeId::new(name).unwrap(), Keep::Remote).is_err() {
                    return false;
                }
            }
            11 => self.host.host_id = if self.host.host_id == "lab" { "lab2" } else { "lab" }.to_owned(),
            _ => return false,
        }
        self.log.push(format!("person {act} {name}"));
        true
    }

    /// Something that goes wrong at the lab.
    async fn mishap(&mut self, act: u8, name: &str) -> bool {
        let (recorded, shipped) = (self.recorded(name), self.shipped(name));
        let (note, kept) = (self.host.path(SHELF), self.host.path("note"));
        let ledger = |n: usize| self.host.path(&format!("ledger-{n}.db"));
        match act {
            0..=3 => self.clock.jump_secs(DAY_SECS * self.dice.i64(1..15)),
            4 => self.clock.jump_secs(-DAY_SECS * self.dice.i64(1..15)),
            5 => self.clock.jump_secs(3_650 * DAY_SECS),
            6 => self.clock.jump_secs(-3_650 * DAY_SECS),
            7 if note.exists() => fs::remove_file(note).unwrap(),
            8 if note.exists() => drop(fs::copy(note, kept).unwrap()),
            9 if kept.exists() => drop(fs::copy(kept, note).unwrap()),
            // Lost.
            10 => {
                self.ledgers += 1;
                let new = ledger(self.ledgers);
                self.host.engine.ledger =
                    Arc::new(SqliteLedger::open(new, self.clock.now(), Access::ReadWrite).unwrap());
            }
            // A copy of it is made.
            11 => {
                let now = if self.ledgers == 0 { self.host.path("ledger.db") } else { ledger(self.ledgers) };
                for end in ["", "-wal"] {
                    let copied = fs::copy(format!("{}{end}", now.display()), self.host.path(&format!("copy.db{end}")));
                    if copied.is_err() {
                        let _ = fs::remove_file(self.host.path(&format!("copy.db{end}")));
                    }
                }
            }
            // And takes its place.
            12 if self.host.path("copy.db").exists() => {
                self.ledgers += 1;
                let new = ledger(self.ledgers);
                for end in ["", "-wal"] {
                    let _ = fs::copy(self.host.path(&format!("copy.db{end}")), format!("{}{end}", new.display()));
                }
                self.host.engine.ledger =
                    Arc::new(SqliteLedger::open(new, self.clock.now(), Access::ReadWrite).unwrap());
            }
            // A pass finds an empty directory: the disk is not mounted. What it retires there stays below the mount.
            13 => {
                fs::rename(self.host.path("shipped"), self.host.path("unmounted")).unwrap();
                fs::create_dir(self.host.path("shipped")).unwrap();
                self.pass().await;
                for name in self.host.names("shipped") {
                    let (below, there) = (self.shipped(&name), self.host.path("unmounted").join(&name));
                    if !there.exists() {
                        fs::rename(below, there).unwrap();
                    }
                }
                fs::remove_dir_all(self.host.path("shipped")).unwrap();
                fs::rename(self.host.path("unmounted"), self.host.path("shipped")).unwrap();
            }
            // A pass finds what somebody is looking at, or has a note in.
            14 if shipped.exists() && !recorded.exists() => {
                fs::create_dir(&recorded).unwrap();
                self.pass().await;
                fs::remove_dir(recorded).unwrap();
            }
            _ => return false,
        }
        self.log.push(format!("mishap {act}, it is {}", self.clock.now().strftime("%F")));
        true
    }

    /// Something that is done to what the receiver has.
    async fn receiver(&mut self, act: u8, host: &str, name: &str) -> bool {
        let other = NAMES[self.dice.usize(..NAMES.len())];
        let (stored, other) = (self.stored(host, name), self.stored(host, other));
        match act {
            0 if stored.exists() => fs::remove_file(&stored).unwrap(),
            1 if stored.exists() && other.exists() && stored != other => {
                fs::remove_file(&stored).unwrap();
                fs::copy(other, &stored).unwrap();
            }
            2 if stored.exists() => {
                let mut bytes = fs::read(&stored).unwrap();
                let at = self.dice.usize(..bytes.len());
                bytes[at] ^= 1;
                fs::remove_file(&stored).unwrap();
                fs::write(&stored, bytes).unwrap();
            }
            3 => {
                let copy = self.host.path(&format!("root-{}", self.texts));
                let _ = fs::remove_dir_all(&copy);
                copy_tree(&self.root(""), &copy);
                self.root_copies = Some(copy);
            }
            4 if self.root_copies.is_some() => {
                let copy = self.root_copies.clone().unwrap();
                self.below(async |root| {
                    for below in ["episodes", "quarantine"] {
                        let _ = fs::remove_dir_all(root.join(below));
                    }
                    copy_tree(&copy, root);
                })
                .await;
            }
            5 | 6 => {
                let key = EpisodeKey { host: HostId::new(host).unwrap(), episode: EpisodeId::new(name).unwrap() };
                let free = if act == 5 { Name::Kept } else { Name::Free };
                self.below(async |root| {
                    let opened = open_files(root).await.unwrap();
                    let _ = withdraw(&opened.store, &opened.index, &key, "lens cap", free, SystemClock::shared().now());
                })
                .await;
            }
            // Its rows are lost.
            7 => {
                self.below(async |root| {
                    let Ok(text) = fs::read_to_string(root.join("index.jsonl")) else { return };
                    let is_its = |line: &&str| !line.contains(&format!("\"episode_id\":\"{name}\""));
                    let kept: String = text.lines().filter(is_its).map(|line| format!("{line}\n")).collect();
                    fs::write(root.join("index.jsonl"), kept).unwrap();
                })
                .await;
            }
            _ => return false,
        }
        self.log.push(format!("receiver {act} {host}/{name}"));
        true
    }

    /// From now on somebody answers at the address that is asked.
    async fn meets(&mut self, far: Far) {
        let real = self.rig.as_ref().unwrap().address;
        let at = match far {
            Far::Receiver => real.to_string(),
            Far::NobodyThere => "127.0.0.1:1".to_owned(),
            Far::SendsOn => {
                let on = move |head: &str, _: &[u8]| {
                    let path = head.split_whitespace().nth(1).unwrap();
                    say(307, &format!("Location: http://{real}{path}\r\n"))
                };
                Foreign::new(on).await.address.to_string()
            }
            other => Foreign::new(move |_, _| other.says()).await.address.to_string(),
        };
        self.far = far;
        self.host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{at}/"))).unwrap();
        self.log.push(format!("far {far:?}"));
    }

    /// One pass, with the rule looked at around it; whether it could begin.
    async fn pass(&mut self) -> bool {
        let (before, has) = (self.shelf(), self.has(None));
        let report = self.host.pass().await;
        for row in self.rig.as_ref().unwrap().rows() {
            let digest = |field: &str| row[field].as_str()?.parse::<Sha256Digest>().ok();
            self.whole.extend(digest("sha256").zip(digest("content_sha256")));
        }
        self.log.push(format!("pass: {} {:?}", report.message, report.notes));
        let (after, has) = (self.shelf(), [has, self.has(None)]);
        let log = || self.log.join("\n");
        let went: Vec<_> = before.iter().filter(|(name, _)| !after.contains_key(*name)).collect();
        let by_receipt = self.host.settings.keep_by == KeepBy::Receipt && self.far == Far::Empty;
        for (name, content) in &went {
            let theirs = |of: &Contents| of.iter().any(|((_, other), theirs)| other == *name && theirs == *content);
            assert!(by_receipt || self.far == Far::Receiver, "{name} went, and no receiver had a word\n{}", log());
            let is_there = has.iter().any(theirs);
            assert!(by_receipt || is_there, "{name} was the last copy\n{}", log());
        }
        for (name, content) in &after {
            assert!(before.get(name).is_none_or(|was| was == content), "{name} became another one\n{}", log());
        }
        let by_size = self.host.settings.keep_size.filter(|_| self.host.settings.keep_time.is_none());
        let (left, one) = ((after.len() * BYTES) as u64, BYTES as u64);
        let is_enough = by_size.is_none_or(|most| went.is_empty() || left + one > most.bytes());
        assert!(is_enough, "less is left than may be\n{}", log());
        if report.exit == ExitCode::Halted {
            let word = Word { why: "mended".to_owned(), who: Who("alice@a".to_owned()), at: self.clock.now() };
            self.host.engine.ledger.rearm(&self.host.spec.name, &word).await.unwrap();
            return true;
        }
        report.exit == ExitCode::Drained || self.far != Far::Receiver
    }

    /// The newest receipt of each name.
    async fn receipts(&self) -> BTreeMap<String, Receipt> {
        let mut all = BTreeMap::new();
        let mut at = DonePlace::default();
        loop {
            let page = self.host.engine.ledger.done_items(&self.host.spec.name, at, 500).await.unwrap();
            for item in page.items {
                if let Some(receipt) = item.detail.as_deref().and_then(Receipt::read) {
                    all.insert(item.key.as_str().to_owned(), receipt);
                }
            }
            if page.end {
                return all;
            }
            at = page.reached;
        }
    }

    /// With everything in its place again, what is still there is what must be.
    async fn end(&mut self) {
        self.meets(Far::Receiver).await;
        self.host.settings.keep_time = Some(DurationText::days(2));
        self.host.settings.keep_size = None;
        self.host.settings.keep_by = KeepBy::Answer;
        self.clock.jump_secs(20_000 * DAY_SECS);
        if !self.pass().await {
            // What waits to be sent is another host's.
            self.person(11, "");
        }
        for _ in 0..6 {
            self.clock.jump_secs(3 * DAY_SECS);
            assert!(self.pass().await, "{}", self.log.join("\n"));
        }
        for name in NAMES {
            self.person(12, name);
        }
        for _ in 0..3 {
            self.clock.jump_secs(3 * DAY_SECS);
            assert!(self.pass().await, "{}", self.log.join("\n"));
        }
        let (shelf, has) = (self.shelf(), self.has(Some(&self.whole)));
        let receipts = self.receipts().await;
        let mut must = BTreeSet::new();
        for (name, content) in &shelf {
            let Some(receipt) = receipts.get(name).filter(|receipt| receipt.content_sha256 == Some(*content)) else {
                continue;
            };
            let key = (receipt.host.as_ref().unwrap().to_string(), name.clone());
            if self.recorded(name).exists() {
                continue;
            }
            let goes = has.get(&key) == Some(content);
            assert!(!goes, "{name} stays for ever\n{}", self.log.join("\n"));
            must.insert(name.clone());
        }
        let told = lost(&self.host.path("outbox"), &self.host.path("shipped"));
        let told: BTreeSet<String> = told.episodes.iter().map(ToString::to_string).collect();
        let untold: Vec<_> = must.difference(&told).collect();
        assert!(untold.is_empty(), "{untold:?} are lost and nobody is told\n{}", self.log.join("\n"));
        // One that was edited besides is told as it was asked for.
        let untrue: Vec<_> = told
            .iter()
            .filter(|name| {
                let Some(receipt) = receipts.get(*name) else { return true };
                let key = (receipt.host.as_ref().unwrap().to_string(), (*name).clone());
                has.get(&key).copied() == receipt.content_sha256
            })
            .collect();
        assert!(untrue.is_empty(), "{untrue:?} are told as lost and are not\n{}", self.log.join("\n"));
    }

    async fn run(&mut self) {
        for _ in 0..ACTS {
            let name = NAMES[self.dice.usize(..NAMES.len())];
            loop {
                let act = self.dice.u8(..15);
                let could = match self.dice.u8(..20) {
                    0..6 => {
                        self.pass().await;
                        true
                    }
                    6..12 => self.person(act, name),
                    12..15 => self.mishap(act, name).await,
                    15..18 => {
                        let host = if self.dice.u8(..4) > 0 { "lab" } else { "lab2" };
                        self.receiver(act, host, name).await
                    }
                    _ => {
                        let is_away = self.far != Far::Receiver;
                        let far = if is_away { Far::Receiver } else { OTHERS[self.dice.usize(..OTHERS.len())] };
                        self.meets(far).await;
                        true
                    }
                };
                if could {
                    break;
                }
            }
        }
        self.end().await;
    }
}

fn dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn content(dir: &Path) -> Option<Sha256Digest> {
    let id = EpisodeId::new("a").unwrap();
    content_of(dir, &id, TreeLimits::default()).ok().map(|content| content.content_sha256)
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&path, &copy);
        } else if let Err(error) = fs::copy(&path, &copy) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_whatever_comes_of_what_was_shipped_no_last_copy_goes_and_what_the_receiver_has_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let sequences = number("HIGHWATER_SEQUENCES").unwrap_or(SEQUENCES);
    let first = number("HIGHWATER_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("seed {first}, {sequences} sequences");
    for seed in first..first + sequences {
        Life::new(seed).await.run().await;
    }
}

/// Whatever is left of it there, and whether its name was made free: who wants it gone here too removes it, and who wants it sent again, for
/// the receiver may have lost it, moves it back.
#[tokio::test]
async fn r10_an_episode_that_was_withdrawn_stays_and_is_told() {
    const WITHDRAW: u8 = 5;
    const MAKE_ROOM: u8 = 6;
    for (lost_before, act) in [(None, MAKE_ROOM), (Some(0), MAKE_ROOM), (Some(2), MAKE_ROOM), (None, WITHDRAW)] {
        let mut life = Life::new(0).await;
        assert!(life.person(0, "a"));
        life.pass().await;
        for act in lost_before.into_iter().chain([act]) {
            assert!(life.receiver(act, "lab", "a").await);
        }
        life.clock.jump_secs(11 * DAY_SECS);
        life.pass().await;
        assert_eq!(life.host.names("shipped"), ["a"], "{lost_before:?}");
        assert_eq!(lost(&life.host.path("outbox"), &life.host.path("shipped")).count(), 1, "{lost_before:?}");
        // What is told leads on.
        if act == WITHDRAW {
            assert!(life.receiver(MAKE_ROOM, "lab", "a").await);
        }
        assert!(life.person(5, "a"));
        life.pass().await;
        assert_eq!(life.has(None).len(), 1);
    }
}
