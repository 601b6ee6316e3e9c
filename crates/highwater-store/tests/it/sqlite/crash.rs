//! The ledger under `kill -9`, power loss and other processes (R5). A test that needs a child starts this program again with
//! its own name and a variable that makes it play the child's part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::ledger::{
    Entry, Fence, Intent, ItemFilter, ItemOrder, ItemRecord, Ledger, PAGE_ROWS_MAX, PinMode,
};
use highwater_engine::name::{JobName, ResourceName, WorklistId};
use highwater_engine::outcome::OutcomeKind::{Deferred, Done, Failed, Gone};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::power_loss::{Disk, FileSystem};
use highwater_testkit::program::{Program, Running};

use super::home::SqliteHome;
use crate::conformance::world::{
    ATTEMPTS_MAX, JOB, World, a_pin, at, begin_pass, entry, job_name, new_items, numbered, outcome, word,
};

/// Names the ledger to the child.
const CHILD: &str = "HIGHWATER_TEST_CHILD_LEDGER";
/// Names its job.
const CHILD_JOB: &str = "HIGHWATER_TEST_CHILD_JOB";
/// What the child prints before what it was told is durable.
const ACKNOWLEDGED: &str = "acknowledged";
/// What it prints when nothing is left to do.
const FINISHED: &str = "finished";
const LIMIT: Duration = Duration::from_secs(120);

/// The ledger that this process plays the child on.
fn child() -> Option<(Arc<dyn Ledger>, JobName)> {
    let path = std::env::var_os(CHILD)?;
    let ledger = SqliteLedger::open(PathBuf::from(path), at(0), Access::ReadWrite).unwrap();
    Some((Arc::new(ledger), job_name(&std::env::var(CHILD_JOB).unwrap())))
}

fn start(test: &str, ledger: &Path, job: &str) -> Running {
    let name = format!("sqlite::crash::{test}");
    let program = Program::new(std::env::current_exe().unwrap()).args(["--exact", &name, "--nocapture"]);
    program.env(CHILD, ledger).env(CHILD_JOB, job).start().unwrap()
}

/// The lines that the child acknowledged, whole ones only.
fn acknowledged(stdout: &str) -> Vec<&str> {
    let whole = stdout.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(|line| line.strip_prefix(ACKNOWLEDGED)).map(str::trim).collect()
}

/// Drains a worklist in groups of all sizes, and says after each what is durable.
async fn drain(ledger: &dyn Ledger, job: &JobName) {
    let fence = begin_pass(ledger, job, &ResourceName::of_job(job), 1).await;
    let worklist = ledger.job(job).await.unwrap().unwrap().worklist.unwrap().id;
    let random = &mut fastrand::Rng::new();
    loop {
        let page = ledger.open_items(worklist, fence.pass, None, random.usize(1..60)).await.unwrap();
        if page.is_empty() {
            break;
        }
        let started = page.iter().map(|item| Entry::Intent { position: item.position, intent: Intent::Started });
        record(ledger, &fence, worklist, started.collect()).await;
        let outcomes = page.iter().map(|item| {
            // What is retried succeeds the next time.
            let kind = if item.rank > 0 { Done } else { random.choice([Done, Done, Gone, Failed, Deferred]).unwrap() };
            (item.position, kind)
        });
        let outcomes: Vec<_> = outcomes.collect();
        record(ledger, &fence, worklist, outcomes.iter().map(|(position, kind)| entry(*position, *kind)).collect())
            .await;
        for (position, kind) in outcomes {
            println!("{ACKNOWLEDGED} {position} {}", kind.is_terminal());
        }
    }
    println!("{FINISHED}");
}

async fn record(ledger: &dyn Ledger, fence: &Fence, worklist: WorklistId, entries: Vec<Entry>) {
    ledger.record(fence, worklist, at(3), ATTEMPTS_MAX, entries).await.unwrap();
}

async fn all_items(ledger: &dyn Ledger, worklist: WorklistId) -> Vec<ItemRecord> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.items(worklist, &ItemFilter::All, ItemOrder::Position, after, PAGE_ROWS_MAX).await.unwrap();
        let Some(last) = page.last() else { return items };
        after = Some(last.position);
        items.extend(page);
    }
}

/// Holds the ledger to what a child acknowledged before it ended; returns how many items are open.
async fn holds(path: &Path, job: &str, acknowledged: &BTreeMap<u64, bool>) -> u64 {
    let ledger = SqliteLedger::open(path, at(0), Access::ReadWrite).unwrap();
    let lines = ledger.check().await.unwrap();
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
    let record = ledger.job(&job_name(job)).await.unwrap().unwrap().worklist.unwrap();
    let items = all_items(&ledger, record.id).await;
    assert_eq!(items.len() as u64, record.tally.total);
    let lost: Vec<u64> = acknowledged
        .iter()
        .filter(|(position, terminal)| {
            let outcome = items[usize::try_from(**position).unwrap()].outcome;
            !outcome.is_some_and(|kind| kind.is_terminal() || !**terminal)
        })
        .map(|(position, _)| *position)
        .collect();
    assert_eq!(lost, Vec::<u64>::new(), "of {} acknowledged outcomes some are lost", acknowledged.len());
    let mut numbers: Vec<u64> = items.iter().filter_map(|item| item.recorded_no).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len() as u64, items.iter().filter(|item| item.outcome.is_some()).count() as u64);
    record.tally.open()
}

fn remember(known: &mut BTreeMap<u64, bool>, stdout: &str) {
    for line in acknowledged(stdout) {
        let (position, terminal) = line.split_once(' ').unwrap();
        *known.entry(position.parse().unwrap()).or_default() |= terminal == "true";
    }
}

async fn pinned(path: &Path, job: &str, items: u64) {
    let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(path, at(0), Access::ReadWrite).unwrap());
    World::of_job(ledger, job).await.pin_numbered(items).await;
}

#[tokio::test]
async fn r05_no_acknowledged_outcome_is_lost_to_kill_9() {
    const TEST: &str = "r05_no_acknowledged_outcome_is_lost_to_kill_9";
    const KILLS: usize = 8;
    if let Some((ledger, job)) = child() {
        return drain(&*ledger, &job).await;
    }
    let home = SqliteHome::new();
    pinned(&home.path(), JOB, 20_000).await;
    let mut known = BTreeMap::new();
    for _ in 0..KILLS {
        let mut running = start(TEST, &home.path(), JOB);
        let enough = fastrand::usize(1..1500);
        running.wait_for_stdout(LIMIT, |stdout| acknowledged(stdout).len() >= enough).await.unwrap();
        let killed = running.kill_9(LIMIT).await.unwrap();
        assert_eq!(killed.code(), None, "it was killed before it finished");
        remember(&mut known, &killed.stdout);
        assert!(holds(&home.path(), JOB, &known).await > 0);
    }
    // Once to try all, once more for those that were to be retried.
    for _ in 0..2 {
        let ended = start(TEST, &home.path(), JOB).wait(LIMIT).await.unwrap();
        assert!(ended.stdout.contains(FINISHED), "{}", ended.stderr);
        remember(&mut known, &ended.stdout);
    }
    assert_eq!(holds(&home.path(), JOB, &known).await, 0);
}

#[tokio::test]
async fn r05_a_worklist_is_whole_or_not_there_after_kill_9() {
    const TEST: &str = "r05_a_worklist_is_whole_or_not_there_after_kill_9";
    const KILLS: usize = 8;
    const BATCHES: usize = 5;
    if let Some((ledger, job)) = child() {
        let fence = begin_pass(&*ledger, &job, &ResourceName::of_job(&job), 1).await;
        loop {
            let mode = if fastrand::bool() { PinMode::Replace } else { PinMode::Extend };
            let worklist = ledger.begin_worklist(&fence, &job, mode, at(1)).await.unwrap();
            let first = if mode == PinMode::Extend {
                ledger.job(&job).await.unwrap().unwrap().worklist.unwrap().tally.total
            } else {
                0
            };
            for batch in numbered(first..first + BATCHES as u64 * 400).chunks(400) {
                println!("{ACKNOWLEDGED} a batch");
                ledger.append_items(&fence, worklist, &new_items(batch.iter().map(String::as_str))).await.unwrap();
            }
            ledger.pin(&fence, worklist, &a_pin(mode), &word(2, "pinned")).await.unwrap();
        }
    }
    let home = SqliteHome::new();
    pinned(&home.path(), JOB, 2000).await;
    for _ in 0..KILLS {
        let mut running = start(TEST, &home.path(), JOB);
        let enough = fastrand::usize(1..4 * BATCHES);
        running.wait_for_stdout(LIMIT, |stdout| acknowledged(stdout).len() >= enough).await.unwrap();
        running.kill_9(LIMIT).await.unwrap();
        holds(&home.path(), JOB, &BTreeMap::new()).await;
        let ledger = home.ledger();
        let record = ledger.job(&job_name(JOB)).await.unwrap().unwrap().worklist.unwrap();
        assert_eq!(record.tally.total % 2000, 0, "a worklist is whole");
        let keys: Vec<String> = all_items(&ledger, record.id).await.iter().map(|item| item.key.to_string()).collect();
        assert_eq!(keys, numbered(0..record.tally.total));
    }
}

#[tokio::test]
async fn r05_no_acknowledged_outcome_is_lost_to_a_power_cut() {
    const TEST: &str = "r05_no_acknowledged_outcome_is_lost_to_a_power_cut";
    if let Some((ledger, job)) = child() {
        return drain(&*ledger, &job).await;
    }
    for file_system in FileSystem::ALL {
        let disk = match Disk::mount(file_system) {
            Ok(disk) => disk,
            Err(not_here) => {
                not_here.say(&format!("{TEST} on {}", file_system.name()));
                continue;
            }
        };
        let path = disk.path().join("ledger.db");
        pinned(&path, JOB, 10_000).await;
        let mut known = BTreeMap::new();
        for _ in 0..3 {
            let mut running = start(TEST, &path, JOB);
            let enough = fastrand::usize(1..1000);
            running.wait_for_stdout(LIMIT, |stdout| acknowledged(stdout).len() >= enough).await.unwrap();
            // Only what was acknowledged before: a sync that is under way while a file system is shut down may return success
            // (seen on ext4 and XFS, Linux 6.18), which nothing does without power.
            remember(&mut known, &running.stdout());
            disk.cut_power().unwrap();
            running.wait(LIMIT).await.unwrap();
            disk.restore_power().unwrap();
            holds(&path, JOB, &known).await;
        }
    }
}

#[tokio::test]
async fn r05_two_processes_write_one_ledger_at_once() {
    const TEST: &str = "r05_two_processes_write_one_ledger_at_once";
    const ITEMS: u64 = 3000;
    if let Some((ledger, job)) = child() {
        return drain(&*ledger, &job).await;
    }
    let home = SqliteHome::new();
    let jobs = [JOB, "ship"];
    for job in jobs {
        pinned(&home.path(), job, ITEMS).await;
    }
    let mut children: Vec<Running> = jobs.iter().map(|job| start(TEST, &home.path(), job)).collect();
    let world = World::of_job(Arc::new(home.ledger()), "kb").await;
    let worklist = world.pin_numbered(500).await;
    for position in 0..500 {
        world.record(worklist, vec![Entry::Outcome { position, outcome: outcome(Done) }]).await;
    }
    for (job, running) in jobs.iter().zip(&mut children) {
        let ended = running.wait(LIMIT).await.unwrap();
        assert!(ended.stdout.contains(FINISHED), "{}", ended.stderr);
        let mut known = BTreeMap::new();
        remember(&mut known, &ended.stdout);
        assert_eq!(known.len() as u64, ITEMS);
        holds(&home.path(), job, &known).await;
    }
    assert_eq!(world.tally().await.done, 500);
}
