//! What nothing refers to goes, in its time, and nothing else does: whatever comes in beside it, and wherever the power is cut.

pub(crate) mod orders;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use highwater_fs::{Fs, RelPath};
use highwater_kb::base::{Collected, GRACE_SECS, LOOKED_NAMES_MAX, Objects, rebuild};
use highwater_kb::resolve::{Side, resolve};
use highwater_kb::{Base, BaseLock, ContentId, DocName, Home, KbError, fold};
use highwater_testkit::sim_fs::{Scenario, SimFs, Survival, crash_everywhere, fail_everywhere, tree};
use jiff::{SignedDuration, Timestamp};

use crate::home::{Simulated, file, lent, now, opened};
use crate::library::{Library, Paper};

pub(crate) const GRACE: Duration = Duration::from_secs(GRACE_SECS);
const OBJECTS: &str = ".highwater/objects";

fn later(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

fn library() -> (SimFs, Library) {
    let fs = SimFs::new().with_atomic_renames();
    let library = Library::new(Simulated::home(&fs));
    (fs, library)
}

/// Everything that a generation refers to, by what manifests say.
fn referenced(base: &Base) -> Result<BTreeSet<ContentId>, KbError> {
    let head = base.head()?.map_or(0, |head| head.number);
    let mut referenced = BTreeSet::new();
    for generation in 1..=head {
        let manifest = base.manifest(generation)?.ok_or(KbError::NoGeneration { generation, head })?;
        referenced.extend(manifest.files.iter().flat_map(|file| [file.base, file.new]).flatten());
        for record in manifest.documents.values().flat_map(|(before, after)| [before, after]).flatten() {
            referenced.extend(
                ["content", "compiled"].map(|field| record[field].as_str().unwrap().parse::<ContentId>().unwrap()),
            );
        }
    }
    Ok(referenced)
}

/// What is called as objects are.
fn objects(fs: &SimFs) -> BTreeSet<ContentId> {
    let names = fs.list(&RelPath::new(OBJECTS).unwrap()).unwrap();
    names.iter().filter_map(|entry| entry.name.to_str()?.parse().ok()).collect()
}

/// What of a base is missing, and what nothing refers to.
pub(crate) fn off(fs: &SimFs, base: &Base) -> Result<(Vec<ContentId>, Vec<ContentId>), KbError> {
    let (referenced, there) = (referenced(base)?, objects(fs));
    Ok((referenced.difference(&there).copied().collect(), there.difference(&referenced).copied().collect()))
}

fn collect(library: &mut Library, at: Timestamp) -> Collected {
    library.collect(at, GRACE).unwrap()
}

fn partial(fs: &SimFs, name: &str) -> RelPath {
    let path = RelPath::new(OBJECTS).unwrap().join(name).unwrap();
    fs.save(&path, b"half").unwrap();
    path
}

#[test]
fn what_nothing_refers_to_goes_after_its_time_and_nothing_else_does() {
    let (fs, mut library) = library();
    library.add(&[&Paper::new("a", "One.\n", &[("concepts/c", true, &[])])]);
    library.add(&[&Paper::new("b", "Two.\n", &[("concepts/c", false, &[])])]);
    library.remove("a");
    Objects::of(&*library.home).put(b"left by a crash").unwrap();
    partial(&fs, &format!(".{}.0.hw-partial", ContentId::of(b"half")));
    let foreign = partial(&fs, "notes.txt");
    assert_eq!(off(&fs, &library.base).unwrap(), (vec![], vec![ContentId::of(b"left by a crash")]));

    let found = collect(&mut library, now());
    assert_eq!((found.condemned, found.waiting, found.removed, found.is_round_end), (2, 0, 0, true));
    assert!(!library.base.is_collection_due(later(23)).unwrap());
    assert!(library.base.is_collection_due(later(24)).unwrap());
    let found = collect(&mut library, later(23));
    assert_eq!((found.condemned, found.waiting, found.removed), (0, 2, 0));
    let would = library.garbage(later(24), GRACE).unwrap();
    assert_eq!((would.removed, would.bytes), (2, 19));
    assert_eq!(objects(&fs).len(), referenced(&library.base).unwrap().len() + 1, "nothing went yet");
    assert_eq!(collect(&mut library, later(24)), would);
    assert_eq!(off(&fs, &library.base).unwrap(), (vec![], vec![]));
    assert!(fs.stat(&foreign).unwrap().is_some(), "what is not called as ours is not ours");
    assert_eq!(collect(&mut library, later(100)), Collected { is_round_end: true, ..Collected::default() });

    // Every generation can still be gone back to, and the rows be made again.
    for back in [2, 3, 1, 0, 4] {
        library.undo(back);
        library.files();
    }
}

#[test]
fn each_of_the_last_ten_generations_can_be_gone_back_to_after_a_collection() {
    const BACK: u32 = 10;
    let (fs, mut library) = library();
    let paper = |name: &str, text: &str| {
        Paper::new(name, text, &[("concepts/c", false, &[])]).with_image("1.png", text.as_bytes())
    };
    let mut had = Vec::new();
    for n in 0..=BACK {
        match n % 4 {
            0 => library.add(&[&paper("a", &format!("One, {n}.\n"))]),
            1 => library.add(&[&paper("b", &format!("Two, {n}.\n"))]),
            2 => library.change("remove", "a", |draft| fold::unfold(draft, &DocName::of_stem("a"), true).map(drop)),
            _ => library.undo(n),
        }
        had.push((library.base.head().unwrap().unwrap().number, library.files()));
    }
    assert_eq!(had.len(), BACK as usize + 1);
    Objects::of(&*library.home).put(b"left").unwrap();
    assert_eq!(library.collect(now(), Duration::ZERO).unwrap().removed, 1);
    let disk = fs.reboot(Survival::Everything);
    disk.unlink(&RelPath::new(".highwater/kb.db").unwrap()).unwrap();
    let anew = rebuild(Simulated::home(&disk), &BaseLock::new(()), now()).unwrap();
    assert_eq!(
        (anew.aside.as_slice(), anew.generations),
        (&[][..], u64::from(BACK) + 2),
        "nothing is lost to a rebuild"
    );
    assert_eq!(anew.base.files().unwrap(), library.base.files().unwrap());
    for (generation, files) in had.iter().rev().skip(1) {
        library.undo(*generation);
        assert_eq!(library.files(), *files, "{generation}");
    }
    assert_eq!(library.collect(later(1), Duration::ZERO).unwrap().removed, 0);
    assert_eq!(off(&fs, &library.base).unwrap(), (vec![], vec![]));
}

#[test]
fn what_a_person_had_before_a_conflict_ended_stays_for_the_way_back() {
    let (fs, mut library) = library();
    let page = RelPath::new("wiki/tides.md").unwrap();
    let write = |library: &mut Library, text: &[u8]| {
        library.change("add", "x", |draft| draft.write(file("wiki/tides.md"), text));
    };
    write(&mut library, b"one\n");
    fs.save(&page, b"mine\n").unwrap();
    write(&mut library, b"theirs\n");
    library.under_lock(|base, held| resolve(base, held, now(), &file("wiki/tides.md"), Side::Theirs)).unwrap();
    assert_eq!(fs.read(&page, 100).unwrap(), b"theirs\n");
    assert_eq!(library.collect(now(), Duration::ZERO).unwrap().removed, 0);
    library.undo(3);
    assert_eq!(fs.read(&page, 100).unwrap(), b"mine\n");
}

#[test]
fn what_is_half_written_stays_while_somebody_prepares() {
    let (fs, mut library) = library();
    let half = partial(&fs, &format!(".{}.0.hw-partial", ContentId::of(b"half")));
    let mut collect =
        |alone| library.under_lock(|base, held| base.collect(held, now(), Duration::ZERO, alone)).unwrap();
    assert_eq!(collect(false), Collected { is_round_end: true, ..Collected::default() });
    assert!(fs.stat(&half).unwrap().is_some());
    assert_eq!(collect(true).removed, 1);
    assert!(fs.stat(&half).unwrap().is_none());
}

#[test]
fn what_is_condemned_and_comes_to_be_needed_stays() {
    let (fs, mut library) = library();
    let id = Objects::of(&*library.home).put(b"left").unwrap();
    assert_eq!(collect(&mut library, now()).condemned, 1);
    library.change("add", "it", |draft| {
        draft.place(file("raw/left.txt"), id);
        Ok(())
    });
    assert_eq!(collect(&mut library, later(25)).removed, 0);
    library.change("remove", "it", |draft| {
        draft.remove(file("raw/left.txt"));
        Ok(())
    });
    assert_eq!(collect(&mut library, later(50)).condemned, 0, "to go back needs it");
    assert_eq!(off(&fs, &library.base).unwrap(), (vec![], vec![]));
}

#[test]
fn bytes_that_come_back_after_a_crash_in_a_collection_have_their_whole_time_again() {
    let (fs, mut library) = library();
    let put = |library: &Library| Objects::of(&*library.home).put(b"left").unwrap();
    put(&library);
    collect(&mut library, now());
    let before = fs.trace().len();
    collect(&mut library, later(25));
    let steps: Vec<String> = fs.trace()[before..].iter().map(ToString::to_string).collect();
    let at = |what: &str| steps.iter().position(|step| step.starts_with(what)).unwrap();
    assert!(at("write .highwater/kb.db") < at("unlink .highwater/objects/"), "{steps:?}");
    put(&library);
    let found = collect(&mut library, later(26));
    assert_eq!((found.condemned, found.removed), (1, 0));
}

#[test]
fn a_clock_that_was_ahead_counts_for_nothing() {
    let (_, mut library) = library();
    Objects::of(&*library.home).put(b"left").unwrap();
    collect(&mut library, later(1_000_000));
    assert_eq!(collect(&mut library, now()).condemned, 1);
    assert_eq!(collect(&mut library, later(24)).removed, 1);
}

#[test]
fn an_object_that_was_collected_before_its_commit_is_an_error_that_changes_nothing() {
    let (fs, mut library) = library();
    let id = Objects::of(&*library.home).put(b"late").unwrap();
    assert_eq!(library.collect(now(), Duration::ZERO).unwrap().removed, 1);
    let before = library.base.head().unwrap();
    let place = |library: &mut Library| {
        library.try_change(|draft| {
            draft.place(file("raw/late.txt"), id);
            Ok(())
        })
    };
    assert!(matches!(place(&mut library), Err(KbError::ObjectMissing { id: missing }) if missing == id));
    assert_eq!(library.base.head().unwrap(), before);
    Objects::of(&*library.home).put(b"late").unwrap();
    place(&mut library).unwrap();
    assert_eq!(off(&fs, &library.base).unwrap().0, []);
}

#[test]
fn a_round_goes_on_where_the_last_call_ended() {
    let (fs, mut library) = library();
    let names = LOOKED_NAMES_MAX + 5;
    for n in 0..names {
        let id = ContentId::of(&n.to_le_bytes());
        fs.save(&RelPath::new(OBJECTS).unwrap().join(id.to_string()).unwrap(), b"").unwrap();
    }
    let first = collect(&mut library, now());
    assert!(!first.is_round_end && library.base.is_collection_due(now()).unwrap());
    let second = collect(&mut library, now());
    assert_eq!((first.condemned + second.condemned, second.is_round_end), (names as u64, true));
    let gone = collect(&mut library, later(24)).removed + collect(&mut library, later(24)).removed;
    assert_eq!(gone, names as u64);
    assert_eq!(off(&fs, &library.base).unwrap(), (vec![], vec![]));
}

#[test]
fn what_a_rebuild_may_take_for_a_generation_keeps_what_it_names() {
    let (fs, library) = library();
    drop(library);
    // A power cut after the manifest and before the COMMIT.
    let cut = (0..).find_map(|at| {
        let disk = fs.reboot(Survival::Everything);
        disk.crash_at(at);
        let (mut base, held) = opened(&Simulated::home(&disk)).ok()?;
        let commit = base.commit(&held, now(), "add", "x", |draft| draft.write(file("raw/x.txt"), b"x\n"));
        let disk = disk.reboot(Survival::Everything);
        let (base, held) = opened(&Simulated::home(&disk)).unwrap();
        let manifest = disk.stat(&RelPath::new(OBJECTS).unwrap().join("generation-0000000002").unwrap());
        let between = commit.is_err() && base.head().unwrap().unwrap().number == 1 && manifest.unwrap().is_some();
        between.then_some((disk, base, held))
    });
    let (disk, mut base, held) = cut.unwrap();
    for _ in 0..2 {
        assert_eq!(base.collect(&held, now(), Duration::ZERO, true).unwrap().removed, 0);
    }
    drop(base);
    disk.unlink(&RelPath::new(".highwater/kb.db").unwrap()).unwrap();
    // No sign says what was committed, and nothing stands that would.
    let stands = disk.contents().into_keys().map(|path| path.to_string());
    for path in stands.filter(|path| path.ends_with(".shown") || path.ends_with(".md")) {
        disk.unlink(&RelPath::new(&path).unwrap()).unwrap();
    }
    let base = rebuild(Simulated::home(&disk), &held, now()).unwrap().base;
    assert_eq!(base.read(&file("raw/x.txt")).unwrap().unwrap(), b"x\n");
}

#[test]
fn rows_that_are_older_than_the_manifests_remove_nothing() {
    let (fs, mut library) = library();
    let (mut older, held) = opened(&Simulated::home(&fs)).unwrap();
    for n in 0..3 {
        library.change("add", "x", |draft| draft.write(file("raw/x.txt"), format!("{n}").as_bytes()));
    }
    let had = objects(&fs);
    let error = older.collect(&held, now(), Duration::ZERO, true).unwrap_err();
    assert!(matches!(error, KbError::RowsBehind { head: 1 }), "{error}");
    assert_eq!(objects(&fs), had);
}

#[test]
fn a_generation_that_is_lost_keeps_every_object() {
    let (fs, mut library) = library();
    for n in 0..3 {
        library.change("add", "x", |draft| draft.write(file("raw/x.txt"), format!("{n}").as_bytes()));
    }
    let half = partial(&fs, &format!(".{}.0.hw-partial", ContentId::of(b"half")));
    let had = objects(&fs);
    drop(library);
    fs.unlink(&RelPath::new(OBJECTS).unwrap().join("generation-0000000002").unwrap()).unwrap();
    fs.unlink(&RelPath::new(".highwater/kb.db").unwrap()).unwrap();
    let held = BaseLock::new(());
    let mut base = rebuild(Simulated::home(&fs), &held, now()).unwrap().base;
    for _ in 0..2 {
        let found = base.collect(&held, now(), Duration::ZERO, true).unwrap();
        assert!(found.keeps_objects && found.is_round_end, "{found:?}");
    }
    assert_eq!(objects(&fs), had);
    assert!(fs.stat(&half).unwrap().is_none(), "what is half written is of no generation");
}

/// A collection, an addition of what it condemned, and the collection that removes the rest.
struct Collecting;

const LEFT: &[u8] = b"left, and needed again";

impl Collecting {
    fn step(base: &mut Base, held: &BaseLock, home: &Arc<dyn Home>, step: usize) -> Result<(), KbError> {
        match step {
            1 => base.collect(held, now(), GRACE, true).map(drop),
            2 if base.read(&file("raw/left.txt"))?.is_some() => Ok(()),
            2 => {
                let id = Objects::of(&**home).put(LEFT)?;
                let place = |draft: &mut highwater_kb::Draft<'_>| {
                    draft.place(file("raw/left.txt"), id);
                    Ok(())
                };
                base.commit(held, now(), "add", "left", place).map(drop)
            }
            _ => {
                // The second finds what an attempt that was cut short left to the first.
                base.collect(held, later(25), GRACE, true)?;
                base.collect(held, later(50), GRACE, true).map(drop)
            }
        }
    }
}

impl Scenario for Collecting {
    fn before(&self) -> SimFs {
        let (fs, mut library) = library();
        library.add(&[&Paper::new("a", "One.\n", &[("concepts/c", true, &[])])]);
        let objects = Objects::of(&*library.home);
        objects.put(LEFT).unwrap();
        objects.put(b"left, and never needed").unwrap();
        objects.settle().unwrap();
        partial(&fs, &format!(".{}.0.hw-partial", ContentId::of(b"half")));
        fs
    }

    fn steps(&self) -> usize {
        3
    }

    fn work(&self, fs: &SimFs) -> usize {
        let home = Simulated::home(fs);
        let Ok(mut lent) = lent(fs) else { return 0 };
        let (base, held) = lent.both();
        (1..=3).take_while(|step| Self::step(base, held, &home, *step).is_ok()).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        lent(fs).map(drop).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let told = |error: KbError| error.to_string();
        let base = lent(fs).map_err(told)?;
        let (missing, orphans) = off(fs, &base).map_err(told)?;
        if !missing.is_empty() {
            return Err(format!("missing: {missing:?}"));
        }
        for (path, _) in base.files().map_err(told)? {
            base.read(&path).map_err(told)?;
        }
        let has = base.read(&file("raw/left.txt")).map_err(told)?;
        if acknowledged >= 2 && has.as_deref() != Some(LEFT) {
            return Err("what was added is not there".to_owned());
        }
        let partials = tree(fs).map_err(|error| error.to_string())?.into_keys();
        let partials = partials.filter(|path| path.to_string().contains("hw-partial")).count();
        if acknowledged == 3 && (!orphans.is_empty() || partials > 0) {
            return Err(format!("orphans: {orphans:?}, {partials} partials"));
        }
        Ok(())
    }
}

#[test]
fn r05_a_collection_beside_an_addition_removes_what_nothing_needs_wherever_the_power_is_cut() {
    let tally = crash_everywhere(&Collecting).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
    assert!(tally.disks > 100, "{tally:?}");
}

#[test]
fn r05_a_disk_that_fails_in_a_collection_loses_nothing_and_keeps_nothing_for_ever() {
    let tally = fail_everywhere(&Collecting).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}
