//! Whatever a person, a receiver and a kill do between a marker and `shipped/`, in whatever order: nothing that the shipper had goes.
//!
//! The rule is looked at around each act of the program's own: every content that was in a directory, in an archive or at the receiver before
//! is in one of them afterwards, but for what its owner edited away. `HIGHWATER_SEQUENCES` says how many sequences, `HIGHWATER_SEED` which
//! is the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use highwater_engine::clock::SystemClock;
use highwater_episodes::archive::{ArchiveContent, Extent, TreeLimits, content_of};
use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::parked::parked;
use highwater_episodes::ship::{Keep, MARKER, Outbox, Shelves, resolve};
use highwater_episodes::store::ContentHash as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::life::Host;
use crate::resume::{Foreign, say};

/// Sequences that every run goes through, and acts of each.
const SEQUENCES: u64 = 60;
const ACTS: usize = 24;
const NAMES: [&str; 2] = ["a", "b"];

/// What the receiver does with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Stores it, and names it; another of its name is a conflict.
    Up,
    /// Says 201, stores nothing and names nothing.
    Unnamed,
    NoCommit,
    OldCode,
    TooLarge,
    Broken,
    /// Stores it, and the shipper is killed before it is answered.
    Kills,
}

const MOODS: [Mood; 7] =
    [Mood::Up, Mood::Up, Mood::Unnamed, Mood::NoCommit, Mood::OldCode, Mood::TooLarge, Mood::Broken];

#[derive(Default)]
struct Far {
    stored: Mutex<BTreeMap<String, (String, String)>>,
    mood: Mutex<Option<Mood>>,
    kill: Notify,
}

impl Far {
    fn answer(&self, head: &str) -> String {
        let first = head.lines().next().unwrap();
        let name = first.split(' ').nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
        let header = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
        };
        let problem = |status: u16, code: &str| {
            let body = format!(r#"{{"code":"{code}"}}"#);
            let length = body.len();
            format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        let mood = self.mood.lock().unwrap().unwrap();
        let mut stored = self.stored.lock().unwrap();
        if first.starts_with("head ") {
            return match stored.get(&name) {
                Some((_, content)) => say(200, &format!("x-episode-content-sha256: {content}\r\n")),
                None => problem(404, "not-found").split("\r\n\r\n").next().unwrap().to_owned() + "\r\n\r\n",
            };
        }
        if !first.starts_with("put ") {
            return say(404, "");
        }
        match mood {
            Mood::Unnamed => return say(201, ""),
            Mood::NoCommit => return problem(400, "code-missing"),
            Mood::OldCode => return problem(412, "code-outdated"),
            Mood::TooLarge => return say(413, ""),
            Mood::Broken => return say(500, ""),
            Mood::Up | Mood::Kills => {}
        }
        let (sha256, content) = (header("x-sha256"), header("x-episode-content-sha256"));
        let there = stored.entry(name).or_insert_with(|| (sha256.clone(), content.clone())).clone();
        if mood == Mood::Kills {
            self.kill.notify_one();
            return String::new();
        }
        if there.1 != content {
            return problem(409, "conflict");
        }
        let body = format!(r#"{{"sha256":"{}","content_sha256":"{content}"}}"#, there.0);
        format!("HTTP/1.1 201 X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }
}

struct Lab {
    host: Host,
    far: Arc<Far>,
    dice: fastrand::Rng,
    /// What was done, for whoever has to look.
    log: Vec<String>,
    /// What was edited away.
    edited: BTreeSet<Sha256Digest>,
    texts: u64,
}

impl Lab {
    fn new(server: &Runtime, seed: u64) -> Self {
        let far = Arc::new(Far::default());
        *far.mood.lock().unwrap() = Some(Mood::Up);
        let asked = Arc::clone(&far);
        let foreign = server.block_on(Foreign::new(move |head, _| asked.answer(head)));
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let host = Host::within(dir.unwrap(), foreign.address, SystemClock::shared());
        let dice = fastrand::Rng::with_seed(seed);
        Self { host, far, dice, log: vec![format!("seed {seed}")], edited: BTreeSet::new(), texts: 0 }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.host.path("episodes").join(name)
    }

    fn stamp(path: &Path, secs: u64) {
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + secs)).unwrap();
    }

    /// Writes what is recorded; now and then what was recorded before.
    fn write(&mut self, dir: &Path) {
        if self.texts == 0 || self.dice.u8(..4) > 0 {
            self.texts += 1;
        }
        fs::write(dir.join("telemetry.csv"), format!("{}", self.texts)).unwrap();
        Self::stamp(&dir.join("telemetry.csv"), 0);
    }

    fn finish(&mut self, dir: &Path) {
        fs::write(dir.join(MARKER), "").unwrap();
        Self::stamp(&dir.join(MARKER), self.dice.u64(..3));
        if let Some(content) = content(dir) {
            self.edited.remove(&content);
        }
    }

    /// Its owner makes something else of what is in a directory.
    fn edit(&mut self, dir: &Path, edit: impl FnOnce(&mut Self)) {
        self.edited.extend(content(dir));
        edit(self);
        if let Some(content) = content(dir) {
            self.edited.remove(&content);
        }
    }

    /// Something that a person does; whether it could be done.
    fn person(&mut self, act: u8, name: &str) -> bool {
        let (dir, shipped) = (self.dir(name), self.host.path("shipped").join(name));
        let here = fs::symlink_metadata(&dir).ok();
        let is_dir = here.as_ref().is_some_and(fs::Metadata::is_dir);
        let is_finished = is_dir && dir.join(MARKER).is_file();
        match act {
            0..=3 if here.is_none() => {
                fs::create_dir(&dir).unwrap();
                self.write(&dir);
                if act > 0 {
                    self.finish(&dir);
                }
            }
            4 if is_dir && !is_finished => self.edit(&dir.clone(), |lab| lab.finish(&dir)),
            5 if is_finished => self.edit(&dir.clone(), |_| fs::remove_file(dir.join(MARKER)).unwrap()),
            6 | 7 if is_dir => fs::remove_dir_all(&dir).unwrap(),
            8 if here.is_none() => symlink("/", &dir).unwrap(),
            9 if here.is_none() => fs::write(&dir, "no directory").unwrap(),
            10 if here.is_some() && !is_dir => fs::remove_file(&dir).unwrap(),
            11 | 12 if is_dir => self.edit(&dir.clone(), |lab| lab.write(&dir)),
            13 if is_finished => {
                let mode = if self.dice.bool() { 0o640 } else { 0o644 };
                fs::set_permissions(dir.join("telemetry.csv"), Permissions::from_mode(mode)).unwrap();
            }
            14 if is_finished && !shipped.exists() => fs::rename(&dir, &shipped).unwrap(),
            15 if here.is_none() && shipped.exists() => fs::rename(&shipped, &dir).unwrap(),
            // A copy in its place.
            16 if is_finished => {
                let copy = self.host.path("copy");
                fs::create_dir(&copy).unwrap();
                for file in ["telemetry.csv", MARKER] {
                    let modified = fs::metadata(dir.join(file)).unwrap().modified().unwrap();
                    fs::copy(dir.join(file), copy.join(file)).unwrap();
                    File::options().append(true).open(copy.join(file)).unwrap().set_modified(modified).unwrap();
                }
                fs::remove_dir_all(&dir).unwrap();
                fs::rename(&copy, &dir).unwrap();
            }
            // An archive that lies aside, as it is told.
            17 => {
                let outbox = self.host.path("outbox");
                let (archive, note) = (
                    outbox.join(format!(".review/{name}.0.tar.zst")),
                    outbox.join(".review").join(format!("{name}.0.json")),
                );
                if !archive.exists() || here.is_some() || outbox.join(format!("{name}.tar.zst")).exists() {
                    return false;
                }
                fs::rename(archive, outbox.join(format!("{name}.tar.zst"))).unwrap();
                fs::rename(note, outbox.join(format!(".packed/{name}.json"))).unwrap();
            }
            18 => *self.far.mood.lock().unwrap() = Some(MOODS[self.dice.usize(..MOODS.len())]),
            _ => return false,
        }
        self.log.push(format!("person {act} {name} {:?}", self.far.mood.lock().unwrap().unwrap()));
        true
    }

    fn pass(&mut self, away: bool) {
        let receiver = self.host.settings.receiver.clone();
        if away {
            self.host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
        }
        // What of its tasks is on the disk comes to its end, as it would where a process is killed a moment later.
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(async {
            tokio::select! {
                report = self.host.pass() => Some(report),
                () = self.far.kill.notified() => None,
            }
        });
        drop(runtime);
        self.host.settings.receiver = receiver;
        let said =
            report.map_or_else(|| "killed".to_owned(), |report| format!("{} {:?}", report.message, report.notes));
        self.log.push(format!("pass away={away}: {said}"));
    }

    /// Something that the program does, with the rule looked at around it.
    fn program(&mut self, act: u8, name: &str) {
        let (before, recording, kept) = (self.world(), self.recording(), self.kept());
        let id = EpisodeId::new(name).unwrap();
        let outbox = Outbox::open(&self.host.path("outbox")).unwrap();
        match act {
            0 => self.pass(true),
            1 => {
                let mood = self.far.mood.lock().unwrap().replace(Mood::Kills);
                self.pass(false);
                *self.far.mood.lock().unwrap() = mood;
            }
            2 | 3 => {
                let shelves = Shelves { episodes: self.host.path("episodes"), shipped: self.host.path("shipped") };
                let keep = if act == 2 { Keep::Local } else { Keep::Remote };
                let resolved = resolve(&shelves, &outbox, &id, keep);
                self.log.push(format!("resolve {name} {keep:?}: {resolved:?}"));
            }
            4 => {
                outbox.unpark(&id).unwrap();
                self.log.push(format!("unpark {name}"));
            }
            _ => self.pass(false),
        }
        let after = self.world();
        let lost: Vec<_> =
            before.iter().filter(|content| !after.contains(content) && !self.edited.contains(content)).collect();
        assert!(lost.is_empty(), "lost {lost:?}\n{}", self.log.join("\n"));
        assert_eq!(recording, self.recording(), "what is being recorded was moved\n{}", self.log.join("\n"));
        let unfinished: BTreeSet<_> = recording.iter().filter_map(|(name, _)| content(&self.dir(name))).collect();
        let packed: Vec<_> =
            self.kept().difference(&kept).filter(|content| unfinished.contains(content)).copied().collect();
        assert!(packed.is_empty(), "what is being recorded was packed\n{}", self.log.join("\n"));
    }

    /// The directories without a marker.
    fn recording(&self) -> Vec<(String, u64)> {
        let names = self.host.names("episodes").into_iter();
        let mut all: Vec<_> = names
            .filter(|name| {
                let dir = self.dir(name);
                fs::symlink_metadata(&dir).unwrap().is_dir() && !dir.join(MARKER).exists()
            })
            .map(|name| (name.clone(), fs::metadata(self.dir(&name)).unwrap().ino()))
            .collect();
        all.sort();
        all
    }

    /// What is in archives and at the receiver.
    fn kept(&self) -> BTreeSet<Sha256Digest> {
        let stored = self.far.stored.lock().unwrap();
        let mut all: BTreeSet<Sha256Digest> = stored.values().map(|(_, content)| content.parse().unwrap()).collect();
        for below in ["outbox", "outbox/.review"] {
            let Ok(entries) = fs::read_dir(self.host.path(below)) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                if let Some(name) = name.strip_suffix(".tar.zst") {
                    let id = EpisodeId::new(&name[..1]).unwrap();
                    let extent = Extent { size_bytes: fs::metadata(&path).unwrap().len(), is_sealed: true };
                    all.extend(ArchiveContent::default().of(&id, &mut File::open(&path).unwrap(), extent));
                }
            }
        }
        all
    }

    /// What is anywhere.
    fn world(&self) -> BTreeSet<Sha256Digest> {
        let mut all = self.kept();
        for below in ["episodes", "episodes/.review", "shipped", "shipped/.review"] {
            let Ok(entries) = fs::read_dir(self.host.path(below)) else { continue };
            let dirs = entries.map(|entry| entry.unwrap().path());
            all.extend(
                dirs.filter(|dir| !dir.file_name().unwrap().to_str().unwrap().starts_with('.'))
                    .filter_map(|dir| content(&dir)),
            );
        }
        all
    }

    fn run(&mut self) {
        for _ in 0..ACTS {
            let name = NAMES[self.dice.usize(..NAMES.len())];
            if self.dice.u8(..10) < 6 {
                // The last can always be done.
                loop {
                    let act = self.dice.u8(..19);
                    if self.person(act, name) {
                        break;
                    }
                }
            } else {
                let act = self.dice.u8(..9);
                self.program(act, name);
            }
        }
        // In the end each archive is sent, or a person is told of it.
        *self.far.mood.lock().unwrap() = Some(Mood::Up);
        for name in NAMES {
            self.program(4, name);
        }
        (0..3).for_each(|_| self.program(5, NAMES[0]));
        let told = parked(&self.host.path("episodes"), &self.host.path("outbox")).unwrap();
        for archive in self.host.names("outbox") {
            let is_told = told.iter().any(|one| format!("{}.tar.zst", one.episode_id) == archive);
            assert!(is_told, "{archive} waits and nobody is told\n{}", self.log.join("\n"));
        }
    }
}

fn content(dir: &Path) -> Option<Sha256Digest> {
    let id = EpisodeId::new("a").unwrap();
    let is_dir = fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir());
    is_dir.then(|| content_of(dir, &id, TreeLimits::default()).ok()).flatten().map(|content| content.content_sha256)
}

#[test]
fn whatever_comes_between_a_marker_and_shipped_no_content_goes() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let sequences = number("HIGHWATER_SEQUENCES").unwrap_or(SEQUENCES);
    let first = number("HIGHWATER_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("seed {first}, {sequences} sequences");
    let server = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for seed in first..first + sequences {
        Lab::new(&server, seed).run();
    }
}
