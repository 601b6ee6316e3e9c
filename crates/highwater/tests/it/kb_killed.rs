//! `kill -9` of two that add documents to one base, at any moment, beside one that reads it (R5, R8): nothing is lost, nothing is there
//! twice, nothing is torn, and nobody who reads is ever told nonsense.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use highwater_engine::clock::{Clock, SystemClock};
use highwater_testkit::not_here::NotHere;
use serde_json::Value;

use crate::rig::{KILLED, Rig, dice, pause};

/// How many kills there are, unless `HIGHWATER_KILLS` says otherwise.
const KILLS: usize = 300;
/// How long it goes on at most: a slow machine kills less often, and says so.
const LONGEST: Duration = Duration::from_secs(75);
/// Documents of one call.
const DOCUMENTS: usize = 3;
/// Those who write.
const WRITERS: [&str; 2] = ["a", "b"];
/// How long a call may run before it is killed, in parts of what one takes that is not.
const LATEST: f64 = 1.25;
/// After so many calls in a row that were killed the next ones have twice the time, and so on.
const SLOWER_AFTER: f64 = 10.0;
/// The most calls in a row that nothing ends: more are a call that never would.
const CALLS_MAX: usize = 60;

/// One who adds one directory of documents after another, each by the same call until that has ended by itself.
struct Writer {
    name: &'static str,
    directories: usize,
    kills: usize,
}

impl Writer {
    fn directory(&self) -> String {
        format!("in/{}-{}", self.name, self.directories)
    }

    /// Lays out the next documents.
    fn lay_out(&mut self, rig: &Rig) {
        self.directories += 1;
        let directory = self.directory();
        fs::create_dir_all(rig.path(&directory)).unwrap();
        for n in 0..DOCUMENTS {
            let of = format!("{}{}x{n}", self.name, self.directories);
            let text = format!(
                "# Report {of}\n\nThe tidal range is the height between high water and low water. Gauge {of} measures the tidal range \
                 at the Harbour Office.\n\nA storm surge adds to the tidal range.\n"
            );
            rig.write(&format!("{directory}/report-{of}.md"), &text);
        }
    }

    fn add<'a>(&self, directory: &'a str) -> [&'a str; 6] {
        ["kb", "add", directory, "--kb", "notes", "--json"]
    }
}

/// Every file below, from there.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut directories) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                // One that goes in this moment is none.
                let Ok(bytes) = fs::read(&path) else { continue };
                found.insert(path.strip_prefix(root).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

/// Looks at the base from outside, until it is told to stop: says how often.
fn read(rig: &Rig, ended: &AtomicBool) -> usize {
    let (mut looks, mut known) = (0, BTreeSet::new());
    while !ended.load(Ordering::Relaxed) {
        let listed = rig.ok(&["kb", "list", "--kb", "notes", "--json"]).stdout;
        let mut names = BTreeSet::new();
        for line in listed.lines() {
            let document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let name = document["name"].as_str().unwrap().to_owned();
            assert!(names.insert(name), "twice: {listed}");
        }
        assert!(names.is_superset(&known), "what was there is gone: {:?}", known.difference(&names));
        known = names;
        let found = rig.ok(&["kb", "search", "--kb", "notes", "--json", "tidal", "range"]).stdout;
        for line in found.lines() {
            let hit: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(hit["snippet"].as_str().is_some_and(|text| text.contains("tidal")), "{line}");
        }
        assert!(known.is_empty() || !found.is_empty(), "what is there is not found");
        for (path, bytes) in files(&rig.path("notes/wiki")) {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.starts_with("---\n") && text.ends_with('\n'), "{} is torn: {text:?}", path.display());
        }
        looks += 1;
    }
    looks
}

/// What the manifests of a base name, and what lies among its objects.
pub(crate) fn objects(root: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut named, mut there) = (BTreeSet::new(), BTreeSet::new());
    for (path, bytes) in files(&root.join(".highwater/objects")) {
        let name = path.to_str().unwrap().to_owned();
        if !name.starts_with("generation-") {
            there.insert(name);
            continue;
        }
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let files = manifest["files"].as_array().unwrap().iter().flat_map(|file| [&file["base"], &file["new"]]);
        let documents = manifest["documents"].as_object().unwrap().values();
        let records = documents.flat_map(|both| both.as_array().unwrap());
        let of_records = records.flat_map(|record| [&record["content"], &record["compiled"]]);
        named.extend(files.chain(of_records).filter_map(Value::as_str).map(ToOwned::to_owned));
    }
    (named, there)
}

/// Adds and is killed, until enough were or the time is over: says how many calls came to their end.
fn write(rig: &Rig, writer: &mut Writer, kills: usize, mut dice: fastrand::Rng, usual: Duration) -> usize {
    let clock = SystemClock::new();
    let (mut ended, mut calls) = (0, 0);
    writer.lay_out(rig);
    while writer.kills < kills && clock.elapsed() < LONGEST {
        let directory = writer.directory();
        let mut pass = rig.doom(&writer.add(&directory));
        // Beside others a call takes longer than it did alone.
        pause(usual.mul_f64(dice.f64() * LATEST * (1.0 + calls as f64 / SLOWER_AFTER)));
        calls += 1;
        assert!(calls < CALLS_MAX, "{directory} was called {calls} times and never ended");
        let end = if pass.runs() { pass.kill_9() } else { pass.end() };
        if end.code == KILLED {
            writer.kills += 1;
            continue;
        }
        assert_eq!(end.code, 0, "{end:?}");
        // What it said is there is there.
        let listed = rig.ok(&["kb", "list", "--kb", "notes", "--json"]).stdout;
        for path in files(&rig.path(&directory)).keys() {
            let name = format!("\"name\":\"{}\"", path.file_stem().unwrap().to_str().unwrap());
            assert!(listed.contains(&name), "{name} was acknowledged: {listed}");
        }
        ended += 1;
        calls = 0;
        writer.lay_out(rig);
    }
    ended
}

#[test]
fn r05_kills_of_two_who_add_beside_one_who_reads_lose_nothing_and_tear_nothing() {
    let mut dice = dice("r05_kills_of_two_who_add_beside_one_who_reads");
    let kills = std::env::var("HIGHWATER_KILLS").ok().map_or(KILLS, |kills| kills.parse().expect("a number of kills"));
    let rig = Rig::new("");
    rig.ok(&["kb", "init", "notes"]);
    // How long a call takes that nobody kills.
    let clock = SystemClock::new();
    let mut first = Writer { name: "first", directories: 0, kills: 0 };
    // The second time, when everything is in memory.
    let usual = [(); 2].map(|()| {
        first.lay_out(&rig);
        let begun = clock.elapsed();
        rig.ok(&first.add(&first.directory()));
        clock.elapsed() - begun
    })[1];

    let mut writers = WRITERS.map(|name| Writer { name, directories: 0, kills: 0 });
    let ended = AtomicBool::new(false);
    let (calls, looks) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&rig, &ended));
        let writing: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                let dice = fastrand::Rng::with_seed(dice.u64(..));
                scope.spawn(|| write(&rig, writer, kills / WRITERS.len(), dice, usual))
            })
            .collect();
        let calls: Vec<_> = writing.into_iter().map(|writer| writer.join()).collect();
        ended.store(true, Ordering::Relaxed);
        let looks = reader.join().unwrap();
        (calls.into_iter().map(|calls| calls.unwrap()).sum::<usize>(), looks)
    });
    let killed: usize = writers.iter().map(|writer| writer.kills).sum();
    eprintln!("{killed} kills, {calls} calls that ended, {looks} looks; a call takes {usual:?}");
    assert!(looks > 0);
    if killed < kills / WRITERS.len() * WRITERS.len() {
        let few = format!("{killed} kills of {kills} in {} s: the machine was busy", LONGEST.as_secs());
        NotHere(few).say("r05_kills_of_two_who_add_beside_one_who_reads_lose_nothing_and_tear_nothing");
    }

    rig.ok(&["kb", "add", "in", "--kb", "notes"]);
    let listed = rig.ok(&["kb", "list", "--kb", "notes", "--json"]).stdout;
    let documents: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let given = files(&rig.path("in"));
    let names: BTreeSet<_> = documents.iter().map(|document| document["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, given.keys().map(|path| stem(path)).collect());
    assert_eq!(documents.len(), given.len());
    for (path, bytes) in &given {
        let name = stem(path);
        assert_eq!(fs::read(rig.path(&format!("notes/raw/{name}.md"))).unwrap(), *bytes, "{name}");
        for page in ["summaries", "sources"] {
            assert!(rig.path(&format!("notes/wiki/{page}/{name}.md")).exists(), "{page}/{name}");
        }
    }
    for (path, bytes) in files(&rig.path("notes/wiki")) {
        let name = path.to_string_lossy();
        assert!(!bytes.is_empty() && !name.contains("conflict") && !name.contains("/."), "{name}: {bytes:?}");
    }
    // Of what is staged, the sign that the newest generation stands.
    for (left, count) in [("tmp", 1), ("desks", 0)] {
        assert_eq!(fs::read_dir(rig.path(&format!("notes/.highwater/{left}"))).unwrap().count(), count, "{left}");
    }
    let (named, there) = objects(&rig.path("notes"));
    assert_eq!(named.difference(&there).count(), 0, "objects are missing");
    let collected = rig.ok(&["kb", "gc", "--kb", "notes", "--grace", "0s", "--json"]).json();
    eprintln!("{collected}");
    let (named, there) = objects(&rig.path("notes"));
    assert_eq!(named, there, "after a collection there is what is needed, and nothing else");
}
