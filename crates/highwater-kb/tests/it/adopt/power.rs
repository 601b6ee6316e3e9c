//! Taking over, with the power cut and the disk failing at any operation: the next call goes on, and of the older base nothing is lost.
//! It is some five hundred operations: every crash within every recovery would take hours, so they are drawn by lot.

use std::collections::BTreeMap;
use std::path::Path;

use highwater_fs::{Fs as _, Mode, RelPath, ensure_dir, publish};
use highwater_kb::adopt::{self, AdoptError, Adopted};
use highwater_kb::base::rebuild;
use highwater_kb::{Base, KbError, Snapshot};
use highwater_testkit::older_base::{Files, sha256};
use highwater_testkit::sim_fs::{Scenario, SimFs, random_runs, tree};

use crate::home::{Simulated, now};

/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 600;

/// A base of one document, which gets another name.
fn files() -> Files {
    let text = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let row = format!("{{\"{}\": {{\"name\": \"a b.md\"}}}}", sha256(b"A.\n"));
    Files::from([
        text(".openkb/hashes.json", &row),
        text(".openkb/journal/x.json", "{"),
        text("raw/a b.md", "A.\n"),
        text("wiki/sources/a b.md", "A.\n"),
        text("wiki/summaries/a b.md", "---\ntype: Summary\n---\n\nOf [[concepts/c]].\n"),
        text("wiki/concepts/c.md", "---\nsources: [\"summaries/a b.md\"]\n---\n\nC.\n"),
        text("wiki/log.md", "# Log\n"),
        text("wiki/index.md", "# Mine\n"),
    ])
}

/// Taking over; and whether whoever comes after the crash finds the rows gone.
struct TakeOver {
    loses_rows: bool,
}

const KEPT: TakeOver = TakeOver { loses_rows: false };
const LOST: TakeOver = TakeOver { loses_rows: true };

fn taken(fs: &SimFs) -> Result<Adopted, KbError> {
    let home = Simulated::home(fs);
    let mut base = Base::init(home.clone(), now())?;
    let held = home.try_lock().unwrap().unwrap();
    base.finish(&held)?;
    let registered = adopt::registered(&Snapshot::open(home.clone())?)?;
    let survey = match adopt::survey(home.fs(), Path::new("/kb"), &registered) {
        Ok(survey) => survey,
        Err(AdoptError::Fs(error)) => return Err(error.into()),
        Err(error) => panic!("{error}"),
    };
    adopt::adopt(&mut base, &held, now(), home.fs(), &survey)
}

/// What stands there, but for what is ours alone.
fn stands(fs: &SimFs) -> Result<Files, String> {
    let tree = tree(fs).map_err(|error| error.to_string())?;
    let files = tree.into_iter().filter_map(|(path, bytes)| Some((path.to_string(), bytes?)));
    Ok(files.filter(|(path, _)| !path.starts_with(".highwater")).collect())
}

fn expected() -> Files {
    thread_local! {
        static EXPECTED: Files = {
            let fs = (&KEPT).before();
            taken(&fs).unwrap();
            stands(&fs).unwrap()
        };
    }
    EXPECTED.with(Clone::clone)
}

/// Takes the rows away and makes them again, as `kb rebuild` does; once: whoever recovers again has nothing more to do.
fn rebuilt(fs: &SimFs) -> Result<(), KbError> {
    let [rows, objects, done] =
        [".highwater/kb.db", ".highwater/objects", ".highwater/rebuilt"].map(|path| RelPath::new(path).unwrap());
    if fs.stat(&done)?.is_some() {
        return Ok(());
    }
    ensure_dir(fs, &objects, Mode::Umask)?;
    // Of attempts alone nothing can be made.
    if fs.list(&objects)?.iter().any(|entry| entry.name.to_string_lossy().starts_with("generation-")) {
        if fs.stat(&rows)?.is_some() {
            fs.unlink(&rows)?;
            fs.sync_dir(&rows.parent().unwrap())?;
        }
        let home = Simulated::home(fs);
        let held = home.try_lock().unwrap().unwrap();
        rebuild(home, &held, now())?;
    }
    Ok(publish(fs, &done, b"", Mode::Umask)?)
}

impl Scenario for &TakeOver {
    fn before(&self) -> SimFs {
        let fs = SimFs::new().with_atomic_renames();
        for (path, bytes) in files() {
            let path = RelPath::new(&path).unwrap();
            ensure_dir(&fs, &path.parent().unwrap(), Mode::Umask).unwrap();
            publish(&fs, &path, &bytes, Mode::Umask).unwrap();
        }
        fs.sync_dir(&RelPath::root()).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        1
    }

    fn work(&self, fs: &SimFs) -> usize {
        usize::from(taken(fs).is_ok())
    }

    fn recover(&self, fs: &SimFs) -> Result<(), String> {
        let rebuilt = if self.loses_rows { rebuilt(fs) } else { Ok(()) };
        rebuilt.and_then(|()| taken(fs)).map(drop).map_err(|error| error.to_string())
    }

    fn check(&self, fs: &SimFs, _: usize) -> Result<(), String> {
        taken(fs).map_err(|error| error.to_string())?;
        let (stands, expected) = (stands(fs)?, expected());
        if stands != expected {
            let differ = |one: &Files, other: &Files| -> BTreeMap<String, String> {
                let differ = one.iter().filter(|(path, bytes)| other.get(*path) != Some(bytes));
                differ.map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).into_owned())).collect()
            };
            return Err(format!(
                "there stands {:#?}, and not {:#?}",
                differ(&stands, &expected),
                differ(&expected, &stands)
            ));
        }
        Ok(())
    }
}

#[test]
fn r05_crashes_and_faults_at_random_and_in_a_row_end_as_the_first_call_would_have() {
    let expected = expected();
    let kept: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert!(kept.contains(&"wiki/summaries/a-b.md") && kept.contains(&"wiki/log/before.md"), "{kept:?}");
    let tally = random_runs(0..RUNS, |_| &KEPT).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}

#[test]
fn r14_rows_that_are_lost_half_way_are_made_again_and_the_next_call_goes_on() {
    let tally = random_runs(0..RUNS, |_| &LOST).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}
