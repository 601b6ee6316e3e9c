//! A base that is being made while the power goes.

use highwater_fs::Fs;
use highwater_kb::{Base, KbError};
use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere};

use crate::home::{Simulated, file, now};

const PAGE: &str = "wiki/index.md";

/// `init`, and the first generation.
struct Birth;

fn made(fs: &SimFs) -> Result<Base, KbError> {
    let home = Simulated::home(fs);
    let mut base = Base::init(home.clone(), now())?;
    let held = home.try_lock().unwrap().expect("nobody else is here");
    base.finish(&held)?;
    if base.head()?.is_none() {
        base.commit(&held, now(), "init", "a base", |draft| draft.write(file(PAGE), b"empty\n"))?;
    }
    Ok(base)
}

impl Scenario for Birth {
    fn before(&self) -> SimFs {
        SimFs::new().with_atomic_renames()
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        usize::from(made(fs).is_ok())
    }

    /// Whoever finds half a base makes it again.
    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        made(fs).map(drop).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, _: usize) -> Result<(), String> {
        let base = made(fs).map_err(|error| error.to_string())?;
        let has = base.read(&file(PAGE)).map_err(|error| error.to_string())?;
        let stands = fs.read(&file(PAGE).to_rel(), 100).map_err(|error| error.to_string())?;
        if has.as_deref() == Some(b"empty\n") && stands == b"empty\n" {
            Ok(())
        } else {
            Err(format!("{has:?} {stands:?}"))
        }
    }
}

#[test]
fn r05_a_base_is_made_wherever_the_power_is_cut_or_the_disk_fails() {
    let tally = crash_everywhere(&Birth).unwrap_or_else(|found| panic!("{found}"));
    assert!(tally.operations > 20, "{tally:?}");
    fail_everywhere(&Birth).unwrap_or_else(|found| panic!("{found}"));
}
