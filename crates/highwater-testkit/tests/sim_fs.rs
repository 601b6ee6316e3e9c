//! The simulated disk: that it loses what a disk may lose, and otherwise is like the real one.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::io::Read;

use highwater_fs::{Fs, FsError, Mode, Op, RealFs, RelPath, publish};
use highwater_testkit::sim_fs::{At, Fault, FaultKind, SimFs, Step, Survival, tree};

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn write(fs: &dyn Fs, name: &str, bytes: &[u8]) {
    fs.create(&path(name), Mode::Umask).unwrap().append(bytes).unwrap();
}

fn read(fs: &dyn Fs, name: &str) -> Option<Vec<u8>> {
    fs.read(&path(name), 1 << 20).ok()
}

/// All that some survival of a crash now makes of a file.
fn after_crash(fs: &SimFs, name: &str) -> Vec<Option<Vec<u8>>> {
    let random = (0..2_000).map(Survival::Random);
    let mut found: Vec<_> =
        Survival::systematic(fs.pending()).chain(random).map(|survival| read(&fs.reboot(survival), name)).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn what_is_not_synced_may_be_lost_and_what_is_synced_is_not() {
    let fs = SimFs::new();
    write(&fs, "f", b"x");
    assert_eq!(fs.pending(), 2, "a name and a write");
    let either = [None, Some(vec![]), Some(vec![0]), Some(b"x".to_vec())];
    assert_eq!(after_crash(&fs, "f"), either);
    fs.append(&path("f")).unwrap().sync().unwrap();
    assert_eq!(after_crash(&fs, "f"), [None, Some(b"x".to_vec())]);
    fs.sync_dir(&RelPath::root()).unwrap();
    assert_eq!(after_crash(&fs, "f"), [Some(b"x".to_vec())]);
}

#[test]
fn a_rename_may_outlive_the_bytes() {
    let fs = SimFs::new();
    publish(&fs, &path("f"), b"old", Mode::Umask).unwrap();
    write(&fs, "t", b"new");
    fs.rename(&path("t"), &path("f")).unwrap();
    fs.sync_dir(&RelPath::root()).unwrap();
    let found = after_crash(&fs, "f");
    assert!(found.contains(&Some(vec![])) && found.contains(&Some(vec![0; 3])), "{found:?}");
    assert!(found.contains(&Some(b"new".to_vec())) && !found.contains(&Some(b"old".to_vec())));
}

#[test]
fn a_write_may_be_cut_anywhere_and_torn_between_sectors() {
    let fs = SimFs::new();
    write(&fs, "f", b"");
    fs.sync_dir(&RelPath::root()).unwrap();
    fs.append(&path("f")).unwrap().append(&[b'x'; 1100]).unwrap();
    let found: Vec<_> = after_crash(&fs, "f").into_iter().flatten().collect();
    let sectors =
        |bytes: &[u8]| -> Vec<_> { bytes.chunks(512).map(|sector| sector.iter().all(|byte| *byte == b'x')).collect() };
    let torn: Vec<_> = found.iter().filter(|bytes| bytes.len() == 1100).map(|bytes| sectors(bytes)).collect();
    assert_eq!(torn.len(), 8, "each of three sectors lives or dies: {torn:?}");
    assert!(found.iter().any(|bytes| bytes.len() % 512 != 0 && bytes.len() < 1100));
    assert!(found.iter().flatten().all(|byte| [0, b'x'].contains(byte)));
}

#[test]
fn the_halves_of_a_rename_part_unless_renames_are_atomic() {
    let outcomes = |fs: SimFs| {
        publish(&fs, &path("a"), b"x", Mode::Umask).unwrap();
        fs.rename(&path("a"), &path("b")).unwrap();
        let mut found: Vec<_> = Survival::systematic(fs.pending())
            .map(|survival| tree(&fs.reboot(survival)).unwrap().into_keys().collect::<Vec<_>>())
            .collect();
        found.sort();
        found.dedup();
        found
    };
    let (a, b) = (path("a"), path("b"));
    let together = vec![vec![a.clone()], vec![b.clone()]];
    assert_eq!(outcomes(SimFs::new().with_atomic_renames()), together);
    let apart = vec![vec![], vec![a.clone()], vec![a, b.clone()], vec![b]];
    assert_eq!(outcomes(SimFs::new()), apart);
}

#[test]
fn a_later_sync_is_not_undone_by_an_older_change() {
    for fs in [SimFs::new(), SimFs::new().with_atomic_renames()] {
        fs.mkdir(&path("d"), Mode::Umask).unwrap();
        publish(&fs, &path("f"), b"1", Mode::Umask).unwrap();
        fs.sync_dir(&RelPath::root()).unwrap();
        fs.rename(&path("f"), &path("d/f")).unwrap();
        write(&fs, "f", b"2");
        fs.append(&path("f")).unwrap().sync().unwrap();
        fs.sync_dir(&RelPath::root()).unwrap();
        assert_eq!(after_crash(&fs, "f"), [Some(b"2".to_vec())], "the older loss of the name came back");
    }
}

#[test]
fn a_failed_sync_loses_the_bytes_to_every_later_one() {
    let fs = SimFs::new();
    write(&fs, "f", b"x");
    fs.sync_dir(&RelPath::root()).unwrap();
    let sync = Step { op: Op::Sync, path: path("f") };
    fs.inject(Fault { at: At::Step(sync), kind: FaultKind::Eio, sticky: false });
    fs.append(&path("f")).unwrap().sync().unwrap_err();
    assert_eq!(read(&fs, "f"), Some(b"x".to_vec()), "and yet it can be read");
    fs.append(&path("f")).unwrap().sync().unwrap();
    assert_eq!(read(&fs.reboot(Survival::Nothing), "f"), Some(vec![]));
}

#[test]
fn after_the_power_is_cut_nothing_answers() {
    let fs = SimFs::new();
    write(&fs, "f", b"x");
    let mut file = fs.append(&path("f")).unwrap();
    fs.crash_at(fs.trace().len());
    assert!(!fs.has_crashed());
    assert!(file.append(b"y").is_err() && fs.has_crashed());
    assert!(fs.stat(&path("f")).is_err() && fs.list(&RelPath::root()).is_err());
    assert!(file.sync().is_err());
    assert_eq!(read(&fs.reboot(Survival::Everything), "f"), Some(b"x".to_vec()));
}

#[test]
fn faults_strike_where_and_as_often_as_they_are_told() {
    let fs = SimFs::new();
    let kind = |result: Result<(), FsError>| result.err().map(|error| error.kind());
    let full = Some(std::io::ErrorKind::StorageFull);
    fs.inject(Fault::once(1, FaultKind::Enospc));
    assert_eq!(kind(fs.mkdir(&path("a"), Mode::Umask)), None);
    assert_eq!(kind(fs.mkdir(&path("b"), Mode::Umask)), full);
    assert_eq!(kind(fs.mkdir(&path("b"), Mode::Umask)), None);
    fs.inject(Fault::sticky(4, FaultKind::Enospc));
    assert_eq!(kind(fs.mkdir(&path("c"), Mode::Umask)), None);
    assert_eq!(kind(fs.mkdir(&path("d"), Mode::Umask)), full);
    assert_eq!(kind(fs.mkdir(&path("d"), Mode::Umask)), full);
    assert!(fs.list(&RelPath::root()).is_ok(), "a full disk can be read");
    fs.heal();
    fs.inject(Fault::once(7, FaultKind::LostAnswer));
    assert!(fs.mkdir(&path("e"), Mode::Umask).is_err());
    assert!(fs.stat(&path("e")).unwrap().is_some(), "it happened all the same");
    fs.inject(Fault::sticky(9, FaultKind::ShortWrite));
    write(&fs, "f", &[b'x'; 100]);
    assert_eq!(read(&fs, "f").unwrap().len(), 100);
    let writes = fs.trace().iter().filter(|step| step.op == Op::Write).count();
    assert_eq!(writes, 7, "each wrote half of what was left");
}

#[test]
fn a_seed_says_everything() {
    let fs = SimFs::new();
    for n in 0..20 {
        write(&fs, &format!("f{n}"), &[n; 2000]);
    }
    let found = |seed| tree(&fs.reboot(Survival::Random(seed))).unwrap();
    assert_eq!(found(7), found(7));
    assert_ne!(found(7), found(8));
}

#[test]
fn what_is_changed_after_a_crash_is_changed_on_one_disk_alone() {
    let fs = SimFs::new();
    fs.mkdir(&path("dir"), Mode::Umask).unwrap();
    fs.save(&path("dir/page"), b"one").unwrap();
    fs.sync_dir(&RelPath::root()).unwrap();
    let (other, third) = (fs.reboot(Survival::Nothing), fs.reboot(Survival::Nothing));
    other.append(&path("dir/page")).unwrap().append(b" more").unwrap();
    write(&other, "dir/new", b"new");
    third.append(&path("dir/page")).unwrap().truncate(1).unwrap();
    third.rename(&path("dir/page"), &path("dir/moved")).unwrap();
    assert_eq!(fs.load(&path("dir/page")).unwrap().to_vec(), b"one");
    assert_eq!(other.load(&path("dir/page")).unwrap().to_vec(), b"one more");
    for disk in [&fs, &other, &third] {
        let seen = disk.contents().into_iter().map(|(path, bytes)| (path, bytes.map(|bytes| bytes.to_vec())));
        assert_eq!(seen.collect::<std::collections::BTreeMap<_, _>>(), tree(disk).unwrap());
    }
    assert_eq!(tree(&fs.reboot(Survival::Everything)).unwrap(), tree(&fs).unwrap());
    assert_eq!(read(&third, "dir/moved").unwrap(), b"o");
}

#[test]
fn nothing_is_moved_into_a_mount_or_out_of_it() {
    let fs = SimFs::new().with_atomic_renames().with_mount(&path("mount"));
    fs.mkdir(&path("mount"), Mode::Umask).unwrap();
    fs.mkdir(&path("mount/below"), Mode::Umask).unwrap();
    ["a", "mount/b", "mount/below/c"].into_iter().for_each(|name| write(&fs, name, b"x"));
    let crosses = |result: Result<(), FsError>| {
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::CrossesDevices);
    };
    crosses(fs.rename(&path("a"), &path("mount/a")));
    crosses(fs.rename_new(&path("mount/b"), &path("b")));
    crosses(fs.exchange(&path("a"), &path("mount/b")));
    crosses(fs.link(&path("mount/below/c"), &path("c")));
    fs.rename(&path("mount/b"), &path("mount/below/b")).unwrap();
    fs.exchange(&path("mount/below/b"), &path("mount/below/c")).unwrap();
}

#[test]
fn two_names_of_one_file_are_one_file() {
    let dir = tempfile::tempdir().unwrap();
    for fs in [&RealFs::open(dir.path()).unwrap() as &dyn Fs, &SimFs::new()] {
        write(fs, "a", b"1");
        fs.link(&path("a"), &path("b")).unwrap();
        fs.append(&path("b")).unwrap().append(b"2").unwrap();
        assert_eq!(read(fs, "a").unwrap(), b"12");
        let id = |name| fs.stat(&path(name)).unwrap().unwrap().id;
        assert_eq!(id("a"), id("b"));
        fs.rename(&path("a"), &path("b")).unwrap();
        assert!(fs.stat(&path("a")).unwrap().is_some(), "two names of one file are left as they are");
        let mut reader = fs.reader(&path("a")).unwrap();
        fs.unlink(&path("a")).unwrap();
        fs.unlink(&path("b")).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "12", "an open file outlives its names");
    }
}

/// The same operations on both disks, whatever comes of them. Systems differ in the errors; the simulated disk has Linux's.
#[cfg(target_os = "linux")]
mod conformance {
    use std::fmt::Write as _;

    use highwater_fs::Kind;

    use super::*;

    /// What an operation said, without where the disk lies.
    fn said<T>(result: Result<T, FsError>, told: impl FnOnce(T) -> String) -> String {
        match result {
            Ok(value) => told(value),
            Err(FsError::Io { op, source, .. } | FsError::Pair { op, source, .. }) => {
                format!("{op}: {:?}", source.raw_os_error().ok_or(source.kind()))
            }
            Err(other) => other.to_string(),
        }
    }

    fn stated(fs: &dyn Fs, name: &RelPath) -> String {
        said(fs.stat(name), |stat| match stat {
            Some(stat) if stat.kind == Kind::File => format!("File {} {:o}", stat.len, stat.mode),
            // The length of another thing is its own business.
            Some(stat) => format!("{:?} {:o}", stat.kind, stat.mode),
            None => "nothing".into(),
        })
    }

    /// One operation of the conformance list, and all that can be seen of the disk after it.
    fn step(fs: &dyn Fs, rng: &mut fastrand::Rng) -> String {
        const PATHS: [&str; 9] = ["a", "b", "d", "e", "d/a", "d/b", "d/e", "d/e/a", "link"];
        let mut any = || match rng.usize(0..=PATHS.len() * 4) {
            0 => RelPath::root(),
            n => path(PATHS[n % PATHS.len()]),
        };
        let (one, other) = (any(), any());
        let done = |()| "ok".to_owned();
        let bytes = [b'x'; 10];
        let mut log = match rng.u8(0..13) {
            0 | 1 => format!(
                "create {one}: {}",
                said(fs.create(&one, Mode::Exact(0o640)).and_then(|mut f| f.append(&bytes)), done)
            ),
            2 | 3 => format!("mkdir {one}: {}", said(fs.mkdir(&one, Mode::Exact(0o750)), done)),
            4 => format!("append {one}: {}", said(fs.append(&one).and_then(|mut f| f.append(b"more")), done)),
            5 => {
                format!("truncate {one}: {}", said(fs.append(&one).and_then(|mut f| f.truncate(rng.u64(0..20))), done))
            }
            6 => format!("rename {one} {other}: {}", said(fs.rename(&one, &other), done)),
            7 => format!("exchange {one} {other}: {}", said(fs.exchange(&one, &other), done)),
            8 => format!("link {one} {other}: {}", said(fs.link(&one, &other), done)),
            9 => format!("unlink {one}: {}", said(fs.unlink(&one), done)),
            10 => format!("sync {one}: {}", said(fs.append(&one).and_then(|mut f| f.sync()), done)),
            11 => format!("sync_dir {one}: {}", said(fs.sync_dir(&one), done)),
            _ => format!(
                "read {one}: {}",
                said(fs.read(&one, 12), |bytes| format!("{bytes:?}"))
                    .replace(&*fs.locate(&RelPath::root()).to_string_lossy(), "/")
                    .replace("//", "/")
            ),
        };
        for name in PATHS.map(path) {
            let _ = write!(
                log,
                "\n  {name}: {}, {}",
                stated(fs, &name),
                said(fs.list(&name), |entries| format!("{entries:?}"))
            );
        }
        for (path, bytes) in tree(fs).unwrap() {
            let _ = write!(log, "\n  {path} {bytes:?}");
        }
        log
    }

    #[test]
    fn the_simulated_disk_answers_as_the_real_one() {
        const SEEDS: u64 = 60;
        const STEPS: usize = 60;
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..SEEDS {
            let dir = tempfile::tempdir().unwrap();
            let (real, simulated) = (RealFs::open(dir.path()).unwrap(), SimFs::new());
            std::os::unix::fs::symlink("d", dir.path().join("link")).unwrap();
            simulated.symlink(&path("link"), "d").unwrap();
            let mut rngs = [fastrand::Rng::with_seed(seed), fastrand::Rng::with_seed(seed)];
            for n in 0..STEPS {
                let [real, simulated] = [step(&real, &mut rngs[0]), step(&simulated, &mut rngs[1])];
                assert_eq!(real, simulated, "seed {seed}, step {n}");
                let first = real.lines().next().unwrap();
                let (what, said) = first.split_once(": ").unwrap();
                kinds.insert(format!("{} {said}", what.split(' ').next().unwrap()));
            }
        }
        assert!(kinds.len() > 40, "too little happened: {kinds:#?}");
    }
}
