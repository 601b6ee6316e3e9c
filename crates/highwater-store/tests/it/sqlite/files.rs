//! The file: how it is opened, refused, read beside a writer, backed up and filled up.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::ledger::{ItemFilter, ItemOrder, JobState, Ledger as _, LedgerError, LedgerFault, PinMode};
use highwater_engine::name::{ItemKey, JobName, ResourceName};
use highwater_engine::outcome::OutcomeKind::{Done, Failed};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::not_here::NotHere;
use highwater_testkit::program::Program;
use highwater_testkit::small_disk::SmallDisk;

use super::check::wrong;
use super::home::SqliteHome;
use crate::conformance::world::{JOB, World, at, entry, fault, job_name, keys, word};

const DAY_SECS: u64 = 24 * 3600;

fn open(path: impl AsRef<Path>, access: Access) -> Result<SqliteLedger, LedgerError> {
    SqliteLedger::open(path, at(0), access)
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let home = SqliteHome::new();
    let world = World::new(&home).await;
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Done]).await;
    drop(world);
    assert_eq!(names(home.directory()), ["ledger.db"], "closed cleanly, it is one file");
    let again = home.ledger();
    assert_eq!(again.path(), home.path());
    let tally = again.job(&job_name(JOB)).await.unwrap().unwrap().worklist.unwrap().tally;
    assert_eq!((tally.total, tally.done), (2, 1));
    again.close().await.unwrap();
    let closed = again.halt(&job_name(JOB), &word(9, ""), "").await;
    assert_eq!(fault(closed), LedgerFault::Other);
}

#[test]
fn r15_a_ledger_that_cannot_be_opened_is_refused_with_its_path() {
    let home = SqliteHome::new();
    drop(home.ledger());
    let good = fs::read(home.path()).unwrap();
    let raw = |sql: &str| {
        home.raw().execute_batch(sql).unwrap();
        fs::read(home.path()).unwrap()
    };
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    let cases: [(&str, Vec<u8>, LedgerFault); 7] = [
        ("empty", Vec::new(), LedgerFault::Damaged),
        ("text", b"id;title\n1;Emma\n".repeat(100), LedgerFault::Damaged),
        ("torn", torn, LedgerFault::Damaged),
        ("newer", raw("INSERT INTO schema_migration VALUES (99, 'later', 'x', 'x')"), LedgerFault::Newer),
        (
            "changed",
            raw("DELETE FROM schema_migration WHERE number = 99; UPDATE schema_migration SET sha256 = 'x'"),
            LedgerFault::Foreign,
        ),
        ("another program's", raw("PRAGMA application_id = 7"), LedgerFault::Foreign),
        ("nobody's", raw("PRAGMA application_id = 0"), LedgerFault::Foreign),
    ];
    for (what, bytes, expected) in cases {
        let path = home.directory().join("case.db");
        for access in [Access::ReadWrite, Access::ReadOnly] {
            fs::write(&path, &bytes).unwrap();
            // A torn file may open, and is told by the check.
            let error = match open(&path, access) {
                Err(error) => error,
                Ok(ledger) => {
                    let runtime = tokio::runtime::Runtime::new().unwrap();
                    runtime.block_on(ledger.quick_check()).unwrap_err()
                }
            };
            assert_eq!(error.fault, expected, "{what}, {access:?}: {error}");
            assert!(error.message.contains("case.db"), "{what}: {error}");
            assert!(fs::read(&path).unwrap() == bytes, "{what}, {access:?}: it was changed");
        }
    }
    for access in [Access::ReadWrite, Access::ReadOnly] {
        assert_eq!(fault(open(home.directory().join("none/ledger.db"), access)), LedgerFault::NotThere);
        assert_eq!(fault(open(home.directory(), access)), LedgerFault::Damaged, "a directory is no ledger");
    }
}

#[test]
fn an_older_ledger_is_not_read_as_if_it_were_up_to_date() {
    let home = SqliteHome::new();
    drop(home.ledger());
    home.raw().execute("DELETE FROM schema_migration", []).unwrap();
    let error = open(home.path(), Access::ReadOnly).unwrap_err();
    assert_eq!(error.fault, LedgerFault::Older);
    assert!(error.message.contains("ledger.db"), "{error}");
}

#[tokio::test]
async fn one_who_only_reads_creates_and_writes_nothing() {
    let home = SqliteHome::new();
    assert_eq!(fault(open(home.path(), Access::ReadOnly)), LedgerFault::NotThere);
    assert!(names(home.directory()).is_empty());
    let world = World::new(&home).await;
    let worklist = world.pin(["a"]).await;
    drop(world);
    let before = fs::read(home.path()).unwrap();

    let reader = open(home.path(), Access::ReadOnly).unwrap();
    let (job, resource) = (job_name(JOB), ResourceName::new("unheard of").unwrap());
    reader.register_job(&job, "exec").await.unwrap();
    reader.set_marker(&job, None).await.unwrap();
    assert_eq!(reader.resource(&resource).await.unwrap().name, resource);
    assert_eq!(reader.items(worklist, &ItemFilter::All, ItemOrder::Position, None, 9).await.unwrap().len(), 1);
    assert!(reader.check().await.unwrap().iter().all(|line| line.ok));
    let refused = reader.halt(&job, &word(1, "look"), "").await.unwrap_err();
    assert_eq!(refused.fault, LedgerFault::Denied);
    assert!(refused.message.contains("read only") && refused.message.contains("ledger.db"), "{refused}");
    assert_eq!(fault(reader.register_job(&JobName::new("new").unwrap(), "exec").await), LedgerFault::Denied);
    assert_eq!(fault(reader.prune(at(9), 9).await), LedgerFault::Denied);
    reader.close().await.unwrap();
    drop(reader);
    assert!(fs::read(home.path()).unwrap() == before, "it was written");
    assert_eq!(names(home.directory()), ["ledger.db"]);
}

#[tokio::test]
async fn one_who_only_reads_sees_at_once_what_a_writer_changes() {
    let home = SqliteHome::new();
    let world = World::new(&home).await;
    let reader = open(home.path(), Access::ReadOnly).unwrap();
    assert!(!reader.control(&world.job, &[]).await.unwrap().halted);
    world.ledger.halt(&world.job, &word(1, "look"), "").await.unwrap();
    assert!(reader.control(&world.job, &[]).await.unwrap().halted);
    assert_eq!(reader.job(&world.job).await.unwrap().unwrap().state, JobState::Halted);
}

#[tokio::test]
async fn one_who_looks_at_a_still_file_sees_whoever_comes_to_write_it() {
    let home = SqliteHome::new();
    let job = job_name(JOB);
    home.ledger().register_job(&job, "exec").await.unwrap();
    let reader = open(home.path(), Access::ReadOnly).unwrap();
    assert!(!reader.control(&job, &[]).await.unwrap().halted);
    for seconds in 0..3 {
        // Comes, and goes again: the file is still between the rounds.
        let writer = home.ledger();
        writer.halt(&job, &word(seconds, "look"), "").await.unwrap();
        assert!(reader.control(&job, &[]).await.unwrap().halted);
        assert_eq!(reader.job(&job).await.unwrap().unwrap().state, JobState::Halted);
        drop(writer);
        home.ledger().rearm(&job, &word(seconds, "seen")).await.unwrap();
        assert!(!reader.control(&job, &[]).await.unwrap().halted);
        assert_eq!(reader.job(&job).await.unwrap().unwrap().state, JobState::Active);
    }
    assert_eq!(reader.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_ledger_that_may_only_be_read_is_read() {
    const TEST: &str = "sqlite::files::a_ledger_that_may_only_be_read_is_read";
    const LEDGER: &str = "HIGHWATER_TEST_FOREIGN_LEDGER";
    const NOBODY: u32 = 65534;
    if let Some(path) = std::env::var_os(LEDGER) {
        let reader = open(&path, Access::ReadOnly).unwrap();
        assert_eq!(reader.jobs().await.unwrap().len(), 1);
        assert!(reader.check().await.unwrap().iter().all(|line| line.ok));
        assert_eq!(fault(open(&path, Access::ReadWrite)), LedgerFault::Denied);
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return NotHere("becoming another user needs root".into()).say(TEST);
    }
    let home = SqliteHome::new();
    let world = World::new(&home).await;
    world.pin(["a"]).await;
    drop(world);
    fs::set_permissions(home.directory(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o644)).unwrap();
    // The program itself must be where nobody finds it.
    let program = home.directory().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let program = Program::new(&program).args(["--exact", TEST, "--nocapture"]).current_dir("/");
    let ended = program.env(LEDGER, home.path()).user(NOBODY, NOBODY).run(Duration::from_secs(60)).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("1 passed"), "{}", ended.stdout);
}

#[tokio::test]
async fn as_many_backups_are_kept_as_are_asked_for() {
    let home = SqliteHome::new();
    let ledger = open(home.path(), Access::ReadWrite).unwrap().keeping_backups(2);
    for day in 0..4 {
        ledger.backup(at(10 + day * DAY_SECS)).await.unwrap();
    }
    assert_eq!(names(&home.directory().join("backups")).len(), 2);
}

#[tokio::test]
async fn a_backup_is_taken_daily_and_seven_are_kept() {
    let home = SqliteHome::new();
    let world = World::new(&home).await;
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Done]).await;
    let ledger = home.ledger();
    let first = ledger.backup_if_due(at(10)).await.unwrap().unwrap();
    assert!(first.starts_with(home.directory().join("backups")), "{}", first.display());
    assert_eq!(ledger.backup_if_due(at(9 + DAY_SECS)).await.unwrap(), None, "the last is not a day old");
    for day in 1..10 {
        assert!(ledger.backup_if_due(at(10 + day * DAY_SECS)).await.unwrap().is_some(), "day {day}");
    }
    assert_eq!(names(&home.directory().join("backups")).len(), 7);
    let newest = SqliteLedger::newest_good_backup(home.path()).unwrap().unwrap();
    let kept = open(&newest, Access::ReadOnly).unwrap();
    assert_eq!(kept.job(&world.job).await.unwrap().unwrap().worklist.unwrap().tally.done, 1);
    fs::write(&newest, b"damaged").unwrap();
    let older = SqliteLedger::newest_good_backup(home.path()).unwrap().unwrap();
    assert_ne!(older, newest, "a damaged one is passed over");
    assert!(ledger.backup(at(11 * DAY_SECS)).await.unwrap() > older);
}

#[tokio::test]
async fn r05_a_full_disk_stops_the_writing_and_tears_nothing() {
    const DISK_BYTES: u64 = 4 * 1024 * 1024;
    let disk = match SmallDisk::mount(DISK_BYTES) {
        Ok(disk) => disk,
        Err(not_here) => return not_here.say("r05_a_full_disk_stops_the_writing_and_tears_nothing"),
    };
    let path = disk.path().join("ledger.db");
    let world = World::of_job(Arc::new(open(&path, Access::ReadWrite).unwrap()), JOB).await;
    let worklist = world.pin_numbered(3000).await;
    disk.fill().unwrap();
    let mut recorded = 0;
    let full = loop {
        let group = (recorded..3000.min(recorded + 100)).map(|position| entry(position, Done)).collect();
        match world.ledger.record(&world.fence, worklist, at(3), 5, group).await {
            Ok(_) => recorded += 100,
            Err(error) => break error,
        }
        assert!(recorded < 3000, "the disk was not full");
    };
    assert_eq!(full.fault, LedgerFault::Full, "{full:?}");
    assert!(full.message.contains("ledger.db"));
    assert_eq!(world.tally().await.done, recorded, "what was acknowledged is there, and no more");
    disk.free().unwrap();
    let group = (recorded..3000).map(|position| entry(position, Done)).collect();
    assert_eq!(world.record(worklist, group).await.tally.open(), 0);
    let lines = open(&path, Access::ReadOnly).unwrap().check().await.unwrap();
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
}

#[tokio::test]
async fn r05_a_worklist_that_does_not_fit_the_disk_leaves_the_old_one() {
    const DISK_BYTES: u64 = 3 * 1024 * 1024;
    let disk = match SmallDisk::mount(DISK_BYTES) {
        Ok(disk) => disk,
        Err(not_here) => return not_here.say("r05_a_worklist_that_does_not_fit_the_disk_leaves_the_old_one"),
    };
    let path = disk.path().join("ledger.db");
    let in_the_way = disk.path().join("in the way");
    fs::write(&in_the_way, vec![0; 1024 * 1024]).unwrap();
    let world = World::of_job(Arc::new(open(&path, Access::ReadWrite).unwrap()), JOB).await;
    let worklist = world.pin(["a"]).await;
    world.begin(PinMode::Extend).await;
    let mut batch = 0;
    let full = loop {
        let keys: Vec<String> = (0..1000).map(|n| format!("{batch}-{n}-{}", "x".repeat(100))).collect();
        let items = crate::conformance::world::new_items(keys.iter().map(String::as_str));
        if let Err(error) = world.ledger.append_items(&world.fence, worklist, &items).await {
            break error;
        }
        batch += 1;
        assert!(batch < 1000, "the disk was not full");
    };
    assert_eq!(full.fault, LedgerFault::Full, "{full:?}");
    assert_eq!(world.open_keys(worklist).await, ["a"]);
    // With some room, what the unfinished extension took is given back, and a smaller one fits.
    fs::remove_file(&in_the_way).unwrap();
    world.begin(PinMode::Extend).await;
    world.append(worklist, ["a", "b"]).await;
    assert_eq!(world.finish(worklist, PinMode::Extend).await.tally.total, 2);
    let found = world.items(worklist, &ItemFilter::Keys(vec![ItemKey::new("b").unwrap()])).await;
    assert_eq!(found[0].position, 1);
}

#[tokio::test]
async fn what_a_discovery_needs_besides_goes_with_its_end() {
    let home = SqliteHome::new();
    let world = World::new(&home).await;
    for _ in 0..3 {
        let worklist = world.pin_numbered(1500).await;
        world.record(worklist, (0..1500).map(|position| entry(position, Done)).collect()).await;
        world.seal(worklist).await;
    }
    let found = world.items(world.job().await.worklist.unwrap().id, &ItemFilter::Keys(keys(["item-001234"]))).await;
    assert_eq!(found[0].position, 1234);
    assert_eq!(wrong(&home).await, Vec::<String>::new());
    drop(world);
    assert_eq!(names(home.directory()), ["ledger.db"]);
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_backed_up_and_brought_up_to_date_with_all_it_knows() {
    let home = SqliteHome::new();
    let mut world = World::new(&home).await;
    let worklist = world.pin(["a", "b", "c", "d"]).await;
    world.record_kinds(worklist, &[Done, Failed]).await;
    drop(world);
    home.raw()
        .execute_batch(
            "DROP INDEX standing_retry;
             CREATE INDEX standing_retry ON standing (worklist, rank, position, pass)
                 WHERE outcome NOT IN ('done', 'gone', 'present', 'skipped', 'review');
             DROP TABLE override;
             ALTER TABLE pass DROP COLUMN throttle;
             ALTER TABLE job DROP COLUMN halted_until;
             DELETE FROM schema_migration WHERE number > 1;",
        )
        .unwrap();
    let backups = || fs::read_dir(home.directory().join("backups")).map(Iterator::count).unwrap_or(0);
    let before = backups();
    assert_eq!(open(home.path(), Access::ReadOnly).map(drop).unwrap_err().fault, LedgerFault::Older);

    world = World::new(&home).await;
    assert!(backups() > before, "it was backed up first");
    world.next_pass().await;
    assert_eq!(world.open_keys(worklist).await, ["c", "d", "b"], "untried ones first, then what is to be tried again");
    drop(world);
    assert!(open(home.path(), Access::ReadOnly).is_ok());
}
