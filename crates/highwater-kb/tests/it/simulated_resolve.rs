//! A conflict that ends, crashed at every operation: it is open or settled, and what the person wrote is there.

use std::io::Write as _;

use highwater_fs::{Fs, Mode, RelPath};
use highwater_kb::resolve::{Side, resolve};
use highwater_kb::{Base, BaseLock, KbError};
use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere};

use crate::home::{Simulated, file, lent, now, opened};
use crate::seeds::try_seeds;

/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 300;
const PAGE: &str = "wiki/tides.md";
const VERSION: &str = "wiki/tides.conflict.md";
const MINE: &[u8] = b"mine\n";
const THEIRS: &[u8] = b"theirs\n";

struct Settling(Side);

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn write(fs: &SimFs, name: &str, bytes: &[u8]) {
    if fs.stat(&path(name)).unwrap().is_some() {
        fs.unlink(&path(name)).unwrap();
    }
    fs.create(&path(name), Mode::Umask).unwrap().write_all(bytes).unwrap();
}

fn commit(base: &mut Base, held: &BaseLock, text: &[u8]) {
    base.commit(held, now(), "add", "a test", |draft| draft.write(file(PAGE), text)).unwrap();
}

impl Settling {
    fn stays(&self) -> &'static [u8] {
        if self.0 == Side::Mine { MINE } else { THEIRS }
    }
}

impl Scenario for Settling {
    fn before(&self) -> SimFs {
        let fs = SimFs::new().with_atomic_renames();
        let home = Simulated::home(&fs);
        Base::init(home.clone(), now()).unwrap();
        let (mut base, held) = opened(&home).unwrap();
        commit(&mut base, &held, b"one\n");
        write(&fs, PAGE, MINE);
        commit(&mut base, &held, THEIRS);
        fs
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        let Ok(mut lent) = lent(fs) else { return 0 };
        let (base, held) = lent.both();
        match resolve(base, held, now(), &file(PAGE), self.0) {
            Ok(_) | Err(KbError::NoConflict(_)) => 1,
            Err(_) => 0,
        }
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        lent(fs).map(drop).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let base = lent(fs).map_err(|error| error.to_string())?;
        let head = base.head().map_err(|error| error.to_string())?.map_or(0, |head| head.number);
        let tree = highwater_testkit::sim_fs::tree(fs).map_err(|error| error.to_string())?;
        let stands = |name: &str| tree.get(&path(name)).cloned().flatten();
        let seen = (stands(PAGE), stands(VERSION));
        let expected = match head {
            2 if acknowledged == 0 => (Some(MINE.to_vec()), Some(THEIRS.to_vec())),
            3 => (Some(self.stays().to_vec()), None),
            other => return Err(format!("{acknowledged} acknowledged, and it is at {other}")),
        };
        if seen != expected {
            return Err(format!("at {head} there stands {seen:?}"));
        }
        let is_there = tree.iter().any(|(path, bytes)| {
            let name = path.to_string();
            let shown = !name.starts_with(".highwater/") || name.starts_with(".highwater/quarantine/");
            shown && bytes.as_deref() == Some(MINE)
        });
        if is_there { Ok(()) } else { Err("what the person wrote is nowhere".to_owned()) }
    }
}

#[test]
fn r05_a_conflict_is_open_or_settled_wherever_the_power_is_cut() {
    for side in [Side::Mine, Side::Theirs] {
        let tally = crash_everywhere(&Settling(side)).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{side:?}: {tally:?}");
        assert!(tally.disks > 20, "{tally:?}");
    }
}

#[test]
fn r05_a_disk_that_fails_while_a_conflict_ends_loses_nothing() {
    for side in [Side::Mine, Side::Theirs] {
        let tally = fail_everywhere(&Settling(side)).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{side:?}: {tally:?}");
    }
    let side = |seed: u64| if seed.is_multiple_of(2) { Side::Mine } else { Side::Theirs };
    eprintln!("{:?}", try_seeds("settling", RUNS, |seed| Settling(side(seed))));
}
