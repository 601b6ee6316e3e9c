//! Durable outcomes a second while a pass drains, against bare SQLite in the same groups. Measured is draining: pinning the
//! list is left out on both sides.

mod limit;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use highwater_engine::clock::{Clock, SystemClock};
use highwater_engine::contact::StopSignal;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::ledger::Who;
use highwater_engine::lock::FileLock;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::outcome::Outcome;
use highwater_engine::pass::{Engine, Mode, Runner};
use highwater_engine::recorder::Grouping;
use highwater_engine::report::Reason;
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::{JobSpec, ResourceSpec};
use highwater_store::{Access, SqliteLedger};
use highwater_testkit::named::{Named, names};
use rusqlite::Connection;

const ITEMS: usize = 100_000;
const GROUP_ITEMS: usize = 256;
const ROUNDS: usize = 5;
const RATIO_MIN: f64 = 0.20;
const PER_SEC_MIN: f64 = 20_000.0;

/// Does nothing, so that all that is measured is the pass.
struct Nothing;

impl Job for Nothing {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names((0..ITEMS).map(|n| format!("item-{n}")))
    }
    async fn prepare(&self, _: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }
    async fn commit(&self, _: &mut CommitCx, _: &Named, (): ()) -> Result<Outcome, Stop> {
        Ok(Outcome::done())
    }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let clock = SystemClock::new();
    let rounds: Vec<(f64, f64)> = (1..=ROUNDS)
        .map(|round| {
            let dir = tempfile::tempdir().expect("a directory");
            let bare = bare(&dir.path().join("bare.db"), &clock);
            let pass = runtime.block_on(pass(dir.path()));
            let ratio = pass / bare;
            println!("round {round}: {pass:.0} durable outcomes/s drained by a pass, {bare:.0}/s by bare SQLite, ratio {ratio:.2}");
            (pass, ratio)
        })
        .collect();
    let per_sec = limit::median(rounds.iter().map(|(pass, _)| *pass));
    let ratio = limit::median(rounds.iter().map(|(_, ratio)| *ratio));
    println!(
        "outcomes: draining, pinning left out on both sides; medians of {ROUNDS} rounds: {per_sec:.0}/s, {ratio:.2} x bare \
         SQLite (limits: {PER_SEC_MIN:.0}/s and {RATIO_MIN:.2} x)"
    );
    limit::verdict(&[
        (ratio >= RATIO_MIN, format!("outcomes: {ratio:.3} x bare SQLite, limit {RATIO_MIN:.2} x")),
        (per_sec >= PER_SEC_MIN, format!("outcomes: {per_sec:.0}/s, limit {PER_SEC_MIN:.0}/s")),
    ])
}

/// What a script on bare SQLite does: the list is a table, an outcome is an update of the item's row by its key, committed in
/// groups of the same size, synced the same way. The list is filled before the time is taken, as it is pinned before a drain.
fn bare(path: &Path, clock: &SystemClock) -> f64 {
    let mut db = Connection::open(path).expect("a database");
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE item (key TEXT PRIMARY KEY, outcome TEXT, at INTEGER) STRICT;",
    )
    .expect("a schema");
    let fill = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
                INSERT INTO item (key) SELECT 'item-' || i FROM n";
    db.execute(fill, [ITEMS as i64]).expect("a list");
    let begun = clock.elapsed();
    for group in 0..ITEMS.div_ceil(GROUP_ITEMS) {
        let tx = db.transaction().expect("a transaction");
        {
            let mut update =
                tx.prepare_cached("UPDATE item SET outcome = 'done', at = ?1 WHERE key = ?2").expect("a statement");
            for n in group * GROUP_ITEMS..((group + 1) * GROUP_ITEMS).min(ITEMS) {
                assert_eq!(update.execute((n as i64, format!("item-{n}"))).expect("a row"), 1);
            }
        }
        tx.commit().expect("a commit");
    }
    ITEMS as f64 / (clock.elapsed() - begun).as_secs_f64()
}

/// Outcomes a second of the drain, pinning left out as the bare side has none.
async fn pass(dir: &Path) -> f64 {
    let clock = SystemClock::shared();
    let ledger = SqliteLedger::open(dir.join("ledger.db"), clock.now(), Access::ReadWrite).expect("a ledger");
    let engine = Engine {
        ledger: Arc::new(ledger),
        clock: Arc::clone(&clock),
        host: "bench".to_owned(),
        pid: std::process::id(),
        who: Who("bench".to_owned()),
        stop: StopSignal::default(),
    };
    let resource = ResourceSpec::new(ResourceName::new("r").expect("a name"), FileLock::new(dir.join("r.lock"), false));
    let spec = JobSpec {
        // Two groups, so that one is prepared while the other is written.
        concurrency: 2 * GROUP_ITEMS,
        grouping: Grouping { items: GROUP_ITEMS, ..Grouping::default() },
        ..JobSpec::new(JobName::new("nothing").expect("a name"), "nothing", vec![resource], &JobSettings::default())
    };
    let report = Arc::new(Nothing).run(&engine, &spec, Mode::Run).await;
    assert_eq!((report.reason, report.counts.done), (Reason::Drained, ITEMS as u64), "{}", report.message);
    let drained = report.took - Duration::from_micros(report.times.plan_us + report.times.lock_us);
    ITEMS as f64 / drained.as_secs_f64()
}
