//! Histories that nobody thought of: each change of a few files, each edit of a person, in any order; and documents that come, are made
//! anew, go and come back. What must stand on the disk then is said by a model that knows no disk, or by a disk that does not fail.

use std::collections::BTreeMap;

use fastrand::Rng;
use highwater_testkit::sim_fs::crash_everywhere;

use crate::seeds::try_seeds;
use crate::simulated::{Files, Generations};
use crate::story::{Act, Story};

const PATHS: [&str; 4] = ["wiki/a.md", "wiki/concepts/b.md", "wiki/concepts/deep/c.md", "raw/d.txt"];
const TEXTS: [&str; 3] = ["one\n", "two\n", "three\n"];
const MINE: &str = "mine\n";
/// Of one history, beyond the first.
const GENERATIONS_MAX: usize = 3;
/// How many histories there are in each run of the tests, and how many tests share them.
const HISTORIES: u64 = 100_000;
const PARTS: u64 = 8;
/// The same of documents, whose generations are larger.
const DOCUMENT_HISTORIES: u64 = 400;
/// Acts of one of these.
const ACTS_MAX: usize = 6;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What a person does to a file.
#[derive(Debug, Clone, Copy)]
enum Edit {
    No,
    Writes,
    Deletes,
}

const EDITS: [Edit; 3] = [Edit::No, Edit::Writes, Edit::Deletes];

/// Makes a history of what each generation has, and of what a person did after the first.
fn history(generations: Vec<Files>, edits: &BTreeMap<&'static str, Edit>) -> Generations {
    let edits: Vec<_> = edits
        .iter()
        .filter_map(|(path, edit)| match edit {
            Edit::No => None,
            Edit::Writes => Some((*path, Some(MINE))),
            Edit::Deletes => generations[0].contains_key(path).then_some((*path, None)),
        })
        .collect();
    let mut disk = generations[0].clone();
    for (path, text) in &edits {
        disk.remove(path);
        disk.extend(text.map(|text| (*path, text)));
    }
    let mut stands = Vec::new();
    // What went, and what people had there: whether that was nothing.
    let mut own = BTreeMap::new();
    for pair in generations.windows(2) {
        for path in PATHS {
            let (base, new) = (pair[0].get(path).copied(), pair[1].get(path).copied());
            let there = disk.get(path).copied();
            let began = match (base, new) {
                (Some(was), None) if there != Some(was) => own.insert(path, (was, there.is_none())).and(None),
                (None, Some(_)) => own.remove(path).filter(|(_, deleted)| *deleted == there.is_none()),
                _ => None,
            };
            if base != new {
                change(&mut disk, path, base.or(began.map(|(was, _)| was)), new);
            }
        }
        stands.push(disk.clone());
    }
    Generations { generations, edits, deletes: None, stands }
}

/// What a change makes of a disk. Texts of one line are never merged.
fn change(disk: &mut Files, path: &'static str, base: Option<&'static str>, new: Option<&'static str>) {
    match (disk.get(path).copied(), base, new) {
        (there, _, new) if there == new => {}
        (there, base, Some(new)) if there == base => drop(disk.insert(path, new)),
        (there, base, None) if there == base => drop(disk.remove(path)),
        (None, _, _) | (Some(_), _, None) => {}
        // What comes is what they began from.
        (Some(_), Some(base), Some(new)) if base == new => {}
        (Some(_), base, Some(new)) => {
            let places = conflicts(path);
            let end = places.iter().position(|place| disk.get(place).is_none_or(|there| *there == new));
            let end = end.expect("there are enough");
            // It takes the place of the version before it.
            let before = places[..end].iter().find(|place| base.is_some() && disk.get(*place).copied() == base);
            let place = before.filter(|_| !disk.contains_key(places[end])).copied().unwrap_or(places[end]);
            disk.insert(place, new);
        }
    }
}

/// Where versions go that cannot be at their path.
fn conflicts(path: &str) -> [&'static str; 3] {
    match path {
        "wiki/a.md" => ["wiki/a.conflict.md", "wiki/a.conflict-2.md", "wiki/a.conflict-3.md"],
        "wiki/concepts/b.md" => {
            ["wiki/concepts/b.conflict.md", "wiki/concepts/b.conflict-2.md", "wiki/concepts/b.conflict-3.md"]
        }
        "raw/d.txt" => ["raw/d.conflict.txt", "raw/d.conflict-2.txt", "raw/d.conflict-3.txt"],
        _ => [
            "wiki/concepts/deep/c.conflict.md",
            "wiki/concepts/deep/c.conflict-2.md",
            "wiki/concepts/deep/c.conflict-3.md",
        ],
    }
}

fn random(seed: u64) -> Generations {
    let mut rng = Rng::with_seed(seed);
    let mut generations: Vec<Files> = Vec::new();
    let beyond = rng.usize(1..=GENERATIONS_MAX);
    while generations.len() <= beyond {
        let mut files = generations.last().cloned().unwrap_or_default();
        for _ in 0..rng.usize(1..=3) {
            let path = PATHS[rng.usize(0..PATHS.len())];
            match rng.usize(0..=TEXTS.len()) {
                0 => drop(files.remove(path)),
                n => drop(files.insert(path, TEXTS[n - 1])),
            }
        }
        // A change that changes nothing is no generation.
        if generations.last() != Some(&files) && !(generations.is_empty() && files.is_empty()) {
            generations.push(files);
        }
    }
    let edits = PATHS.iter().map(|path| (*path, EDITS[rng.usize(0..EDITS.len())])).collect();
    history(generations, &edits)
}

/// One of the tests that share the histories, so that they run beside each other.
fn histories() {
    eprintln!("{:?}", try_seeds("histories", HISTORIES / PARTS, random));
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_1_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_2_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_3_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_4_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_5_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_6_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_7_of_8() {
    histories();
}

#[test]
fn r05_random_histories_with_crashes_and_faults_lose_nothing_8_of_8() {
    histories();
}

#[test]
fn r05_every_history_of_one_file_and_two_changes_is_whole_wherever_the_power_is_cut() {
    let path = PATHS[0];
    let states = [None, Some(TEXTS[0]), Some(TEXTS[1])];
    let file = |state: Option<&'static str>| Files::from_iter(state.map(|text| (path, text)));
    let mut histories = 0;
    for first in states {
        for second in states.into_iter().filter(|second| *second != first) {
            for third in states.into_iter().filter(|third| *third != second) {
                for edit in EDITS {
                    // Another file keeps a generation from being empty.
                    let with = |state| {
                        let mut files = file(state);
                        files.insert(PATHS[1], TEXTS[0]);
                        files
                    };
                    let generations = vec![with(first), with(second), with(third)];
                    let history = history(generations, &BTreeMap::from([(path, edit)]));
                    crash_everywhere(&history)
                        .unwrap_or_else(|found| panic!("{first:?} {edit:?} {second:?} {third:?}: {found}"));
                    histories += 1;
                }
            }
        }
    }
    assert_eq!(histories, 36);
}

/// Acts of any kind, some of which may find nothing to do.
fn acts(seed: u64) -> Story {
    let mut rng = Rng::with_seed(seed);
    let mut acts = Vec::new();
    for _ in 0..rng.usize(2..=ACTS_MAX) {
        let (name, version) = (NAMES[rng.usize(0..NAMES.len())], rng.u8(0..6));
        acts.push(match rng.usize(0..6) {
            0 | 1 => Act::Add(name, version),
            2 => Act::Recompile(name, version),
            3 | 4 => Act::Remove(name, rng.bool()),
            _ => Act::Undo(rng.usize(0..=acts.len())),
        });
        // What is left out is no act to go back to.
        acts = Story::of(&acts).acts().to_vec();
    }
    Story::of(&acts)
}

#[test]
fn r05_random_histories_of_documents_with_crashes_and_faults_lose_nothing() {
    eprintln!("{:?}", try_seeds("documents", DOCUMENT_HISTORIES, acts));
}
