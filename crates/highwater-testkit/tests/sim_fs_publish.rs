//! Publishing one file, crashed and failed everywhere.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::io::Write;

use highwater_fs::{Fs, FsError, Mode, Placed, RelPath, Staged, collect_stale, ensure_dir, publish, publish_new};
use highwater_testkit::sim_fs::{
    Scenario, SimFs, crash_everywhere, fail_everywhere, forget_each_sync, random_runs, tree,
};

/// Longer than a sector, so that it can be torn.
const CONTENT_BYTES: usize = 700;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn content(fill: u8) -> Vec<u8> {
    vec![fill; CONTENT_BYTES]
}

/// Replaces files of a directory one after another.
struct Replaces {
    /// Which file each step writes, and with what.
    steps: Vec<(RelPath, u8)>,
}

impl Replaces {
    fn some() -> Self {
        let steps = [("dir/old", b'1'), ("dir/new", b'2'), ("dir/old", b'3'), ("top", b'4')];
        Self { steps: steps.map(|(name, fill)| (path(name), fill)).to_vec() }
    }

    fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let names = ["dir/old", "dir/new", "top"];
        let step = |_| (path(names[rng.usize(0..3)]), rng.u8(1..));
        Self { steps: (0..4).map(step).collect() }
    }

    fn after(&self, steps: usize) -> Vec<(RelPath, Vec<u8>)> {
        let mut files = vec![(path("dir/old"), content(b'0'))];
        for (target, fill) in &self.steps[..steps] {
            files.retain(|(other, _)| other != target);
            files.push((target.clone(), content(*fill)));
        }
        files.sort();
        files
    }
}

fn files(fs: &dyn Fs) -> Vec<(RelPath, Vec<u8>)> {
    tree(fs).unwrap().into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect()
}

impl Scenario for Replaces {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        fs.mkdir(&path("dir"), Mode::Umask).unwrap();
        publish(&fs, &path("dir/old"), &content(b'0'), Mode::Umask).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn work(&self, fs: &SimFs) -> usize {
        let done = |(target, fill): &&(RelPath, u8)| publish(fs, target, &content(*fill), Mode::Umask).is_ok();
        self.steps.iter().take_while(done).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        for dir in [RelPath::root(), path("dir")] {
            collect_stale(fs, &dir).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let one_more = (acknowledged + 1).min(self.steps());
        let found = files(fs);
        if (acknowledged..=one_more).any(|steps| found == self.after(steps)) {
            return Ok(());
        }
        let names: Vec<_> = found.iter().map(|(path, bytes)| (path, bytes.len())).collect();
        Err(format!("after {acknowledged} steps: {names:?}"))
    }
}

/// Publishes where something may be already, in each way that can be.
struct Adds;

impl Adds {
    /// As another process does that is cut off before it can sync the directory.
    fn another_is_first(fs: &dyn Fs, target: &RelPath) -> Result<(), FsError> {
        if fs.stat(target)?.is_some() {
            return Ok(());
        }
        let mut file = fs.create(&path("theirs"), Mode::Umask)?;
        file.append(&content(b't'))?;
        file.sync()?;
        fs.link(&path("theirs"), target)?;
        fs.unlink(&path("theirs"))
    }
}

impl Scenario for Adds {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        publish(&fs, &path("taken"), &content(b'p'), Mode::Umask).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        3
    }

    fn work(&self, fs: &SimFs) -> usize {
        let add = |name| publish_new(fs, &path(name), &content(b'n'), Mode::Umask);
        let steps: [&dyn Fn() -> Result<Placed, FsError>; 3] = [&|| add("taken"), &|| add("fresh"), &|| {
            Self::another_is_first(fs, &path("raced")).and_then(|()| add("raced"))
        }];
        steps.iter().take_while(|step| step().is_ok()).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        // The other process's, which is not ours to test.
        if fs.stat(&path("theirs")).map_err(|error| error.to_string())?.is_some() {
            fs.unlink(&path("theirs")).map_err(|error| error.to_string())?;
        }
        collect_stale(fs, &RelPath::root()).map(|_| ()).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let found = files(fs);
        let taken = found.contains(&(path("taken"), content(b'p')));
        let fresh = found.contains(&(path("fresh"), content(b'n')));
        let raced = found.contains(&(path("raced"), content(b't'))) || found.contains(&(path("raced"), content(b'n')));
        let whole = usize::from(taken) + usize::from(fresh) + usize::from(raced);
        match () {
            () if !taken => Err("what was there was replaced".into()),
            () if whole != found.len() => Err(format!("{} of {} whole", whole, found.len())),
            () if acknowledged >= 2 && !fresh => Err("what was placed is gone".into()),
            () if acknowledged >= 3 && !raced => Err("what was said to be there is gone".into()),
            () => Ok(()),
        }
    }
}

/// Makes directories, and a file in the last.
struct Settles;

impl Scenario for Settles {
    fn before(&self) -> SimFs {
        SimFs::new()
    }

    fn steps(&self) -> usize {
        2
    }

    fn work(&self, fs: &SimFs) -> usize {
        let made = ensure_dir(fs, &path("a/b/c"), Mode::Umask);
        let placed = made.is_ok() && publish(fs, &path("a/b/c/file"), b"x", Mode::Umask).is_ok();
        usize::from(made.is_ok()) + usize::from(placed)
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        match collect_stale(fs, &path("a/b/c")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let found = tree(fs).unwrap();
        let whole = found.get(&path("a/b/c/file")) == Some(&Some(b"x".to_vec()));
        match acknowledged {
            1.. if !found.contains_key(&path("a/b/c")) => Err("the directory is gone".into()),
            2 if !whole => Err("the file is gone".into()),
            _ if !whole && found.contains_key(&path("a/b/c/file")) => Err("the file is torn".into()),
            _ => Ok(()),
        }
    }
}

/// Puts files of two directories in place together, twice.
struct PlacesTogether;

impl PlacesTogether {
    const NAMES: [&'static str; 3] = ["dir/old", "dir/new", "top"];

    fn place(fs: &SimFs, fill: u8) -> Result<(), FsError> {
        let mut together = Vec::new();
        for name in Self::NAMES {
            let mut staged = Staged::create(fs, &path(name), Mode::Umask)?;
            staged.write_all(&content(fill)).map_err(|source| FsError::Io {
                op: highwater_fs::Op::Write,
                path: fs.locate(&path(name)),
                source,
            })?;
            together.push(staged);
        }
        Staged::place_together(fs, together)?;
        fs.sync_dir(&path("dir"))?;
        fs.sync_dir(&RelPath::root())
    }
}

impl Scenario for PlacesTogether {
    fn before(&self) -> SimFs {
        Replaces::some().before()
    }

    fn steps(&self) -> usize {
        2
    }

    fn work(&self, fs: &SimFs) -> usize {
        (b'1'..=b'2').take_while(|fill| Self::place(fs, *fill).is_ok()).count()
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        let collected = [path("dir"), RelPath::root()].iter().try_for_each(|dir| collect_stale(fs, dir).map(drop));
        collected.map_err(|error| error.to_string())
    }

    /// Each is whole, of the last step that was acknowledged or the next.
    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let found: std::collections::BTreeMap<_, _> = files(fs).into_iter().collect();
        for name in Self::NAMES {
            let step = |step: usize| match step {
                0 => (name == "dir/old").then(|| content(b'0')),
                1 => Some(content(b'1')),
                _ => Some(content(b'2')),
            };
            let there = found.get(&path(name));
            if there != step(acknowledged).as_ref() && there != step(acknowledged + 1).as_ref() {
                let there = there.map(|bytes| (bytes.len(), bytes.first()));
                return Err(format!("after {acknowledged} steps there is {there:?} at {name}"));
            }
        }
        if found.len() > Self::NAMES.len() { Err(format!("{:?}", found.keys())) } else { Ok(()) }
    }
}

fn holds(scenario: &impl Scenario) {
    let crashed = crash_everywhere(scenario).unwrap_or_else(|found| panic!("{found}"));
    let failed = fail_everywhere(scenario).unwrap_or_else(|found| panic!("{found}"));
    assert!(crashed.disks > 10 && failed.disks > 10, "{crashed:?} {failed:?}");
}

#[test]
fn r05_a_published_file_is_old_or_new_wherever_the_power_is_cut_or_the_disk_fails() {
    holds(&Replaces::some());
}

#[test]
fn r05_files_that_are_placed_together_are_each_old_or_new_wherever_the_power_is_cut_or_the_disk_fails() {
    holds(&PlacesTogether);
}

#[test]
fn r05_publishing_new_replaces_nothing_and_loses_nothing() {
    holds(&Adds);
}

#[test]
fn r05_a_directory_that_was_made_is_still_there() {
    holds(&Settles);
}

#[test]
fn r05_publishing_holds_in_twenty_thousand_random_runs() {
    random_runs(0..20_000, Replaces::random).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn every_sync_is_needed() {
    fn each(scenario: &impl Scenario, at_least: usize) {
        let omissions = forget_each_sync(scenario).unwrap_or_else(|found| panic!("{found}"));
        assert!(omissions.len() >= at_least, "{omissions:#?}");
        for omission in omissions {
            assert!(omission.noticed.is_some(), "nothing broke without {omission}");
        }
    }
    each(&Replaces::some(), 8);
    each(&PlacesTogether, 10);
    each(&Settles, 5);
}

#[test]
fn every_sync_of_publishing_new_is_needed_but_where_nothing_was_new() {
    let omissions = forget_each_sync(&Adds).unwrap_or_else(|found| panic!("{found}"));
    let unneeded: Vec<_> =
        omissions.iter().filter(|omission| omission.noticed.is_none()).map(ToString::to_string).collect();
    // The first step's file and directory, and the third's file: they were there already.
    assert_eq!(
        unneeded,
        ["work: sync .taken.0.hw-partial", "work: sync directory .", "work: sync .raced.0.hw-partial"]
    );
}

#[test]
fn a_failed_sync_is_final_and_leaves_the_target_untouched() {
    use highwater_testkit::sim_fs::{Fault, FaultKind};
    for lost in [FaultKind::Eio, FaultKind::Enospc, FaultKind::LostAnswer] {
        let fs = SimFs::new();
        publish(&fs, &path("f"), b"old", Mode::Umask).unwrap();
        let before = fs.trace().len();
        fs.inject(Fault::once(before + 2, lost)); // create, write, sync
        let error = publish(&fs, &path("f"), b"new", Mode::Umask).unwrap_err();
        assert_eq!(error.to_string(), "cannot sync /.f.0.hw-partial");
        let after: Vec<_> = fs.trace()[before..].iter().map(ToString::to_string).collect();
        let steps =
            ["create .f.0.hw-partial", "write .f.0.hw-partial", "sync .f.0.hw-partial", "unlink .f.0.hw-partial"];
        assert_eq!(after, steps, "it was not tried again");
        assert_eq!(fs.read(&path("f"), 10).unwrap(), b"old");
    }
}

#[test]
fn a_failed_sync_of_one_leaves_every_target_untouched() {
    use highwater_testkit::sim_fs::{Fault, FaultKind};
    let fs = PlacesTogether.before();
    let old = files(&fs);
    fs.inject(Fault::once(fs.operations() + 7, FaultKind::Eio)); // create and write three, sync one, sync
    let error = PlacesTogether::place(&fs, b'1').unwrap_err();
    assert_eq!(error.to_string(), "cannot sync /dir/.new.0.hw-partial");
    assert_eq!(files(&fs), old);
}

#[test]
fn a_poisoned_file_refuses_everything() {
    use highwater_testkit::sim_fs::{Fault, FaultKind};
    let fs = SimFs::new();
    let mut file = fs.create(&path("log"), Mode::Umask).unwrap();
    file.append(b"one\n").unwrap();
    fs.inject(Fault::once(2, FaultKind::Eio));
    assert_eq!(file.sync().unwrap_err().to_string(), "cannot sync /log");
    let operations = fs.trace().len();
    let poisoned = "/log cannot be trusted: an earlier sync of it failed";
    assert_eq!(file.sync().unwrap_err().to_string(), poisoned);
    assert_eq!(file.append(b"two\n").unwrap_err().to_string(), poisoned);
    assert_eq!(file.truncate(0).unwrap_err().to_string(), poisoned);
    assert_eq!(file.write(b"two\n").unwrap_err().to_string(), poisoned);
    assert_eq!(fs.trace().len(), operations, "the disk was not asked");
}

#[test]
fn a_storm_of_publishers_places_one() {
    let fs = SimFs::new();
    let placed: usize = std::thread::scope(|scope| {
        let fs = &fs;
        let storm: Vec<_> = (0..10u8)
            .map(|n| scope.spawn(move || publish_new(fs, &path("f"), &[n; 600], Mode::Umask).unwrap()))
            .collect();
        storm.into_iter().map(|one| usize::from(one.join().unwrap() == Placed::New)).sum()
    });
    assert_eq!(placed, 1);
    let found = files(&fs);
    assert_eq!(found.len(), 1);
    assert!(found[0].1 == [found[0].1[0]; 600]);
}

#[test]
fn a_staged_file_that_is_dropped_leaves_nothing() {
    let fs = SimFs::new();
    let mut staged = Staged::create(&fs, &path("f"), Mode::Umask).unwrap();
    staged.write_all(b"half of it").unwrap();
    assert_eq!(fs.list(&RelPath::root()).unwrap().len(), 1);
    drop(staged);
    assert_eq!(fs.list(&RelPath::root()).unwrap(), []);
}

#[test]
fn a_copy_from_another_disk_is_published_whole() {
    let (from, to) = (SimFs::new(), SimFs::new());
    publish(&from, &path("f"), &content(b'x'), Mode::Umask).unwrap();
    let mut staged = Staged::create(&to, &path("f"), Mode::Exact(0o600)).unwrap();
    std::io::copy(&mut from.reader(&path("f")).unwrap(), &mut staged).unwrap();
    assert_eq!(staged.publish_new().unwrap(), Placed::New);
    assert_eq!(files(&to), [(path("f"), content(b'x'))]);
    assert_eq!(to.stat(&path("f")).unwrap().unwrap().mode, 0o600);
}
