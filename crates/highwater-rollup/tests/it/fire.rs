//! R7 under fire, by seeds: writers insert, update, delete and re-attribute in transactions that stay open, by a clock that jumps,
//! while slices are seeded, and seeded again, and queues are drained. All of them are cut off in the middle: rolled back, dropped
//! while a statement runs, their session terminated, their lock lost to another. At the end every cell is what a fresh grouping
//! says.

use fastrand::Rng;
use highwater_db::session::{Dialect, Fault, FaultKind, Session};
use highwater_engine::clock::{Clock, SystemClock};
use highwater_rollup::tick::{Reach, TickError, tick};
use highwater_rollup::{drain, recompute, state, verify};
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::between::{Act, Between, unless_told};
use crate::usage::{Base, declaration, differences, drain_all, install, run, stranded, watermark};

/// Seeds of every test run; `HIGHWATER_SEEDS=FROM..TO` runs others, until `HIGHWATER_SOAK_SECS` are over where that is given.
const SEEDS: std::ops::Range<u64> = 0..20;
/// Steps of a run.
const STEPS: usize = 400;
const WRITERS: usize = 4;

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("HIGHWATER_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("HIGHWATER_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

#[tokio::test]
async fn r07_every_cell_is_a_fresh_grouping_after_any_history_in_sqlite() {
    all_under_fire(Dialect::Sqlite).await;
}

#[tokio::test]
async fn r07_every_cell_is_a_fresh_grouping_after_any_history_in_postgresql() {
    all_under_fire(Dialect::Postgres).await;
}

async fn all_under_fire(dialect: Dialect) {
    let secs = std::env::var("HIGHWATER_SOAK_SECS").ok().and_then(|secs| secs.parse::<u64>().ok()).unwrap_or(u64::MAX);
    let clock = SystemClock::new();
    let (mut stamps, mut ran) = (0, 0);
    for seed in seeds() {
        if clock.elapsed().as_secs() >= secs {
            break;
        }
        println!("{dialect:?}: HIGHWATER_SEEDS={seed}..{} repeats this one", seed + 1);
        stamps += under_fire(dialect, seed).await;
        ran += 1;
    }
    println!("{dialect:?}: {ran} seeds, and the watermark moved {stamps} times meanwhile");
    assert!(stamps > 0 || ran < 5, "a watermark that never moves proves nothing");
}

/// Says how often a watermark moved while writers were at it.
async fn under_fire(dialect: Dialect, seed: u64) -> u32 {
    let rng = &mut Rng::with_seed(seed);
    let base = Base::new(dialect).await;
    let mut ours = base.pass().await;
    populate(&mut *ours, rng).await;
    install(&mut *ours).await;
    // Read once, as a pass does: what comes later is in the queues.
    let mut walk = Walk(recompute::extent(&mut *ours, &declaration()).await.unwrap());

    // SQLite has one writer at a time; its writers commit each step.
    let writers = if dialect == Dialect::Postgres { WRITERS } else { 1 };
    let mut sessions = Vec::new();
    for _ in 0..writers {
        sessions.push((writer(&base).await, false));
    }
    let mut stamps = 0;
    for _ in 0..STEPS {
        match rng.u8(..100) {
            0..76 => {
                let at = rng.usize(..writers);
                let (session, open) = &mut sessions[at];
                if rng.u8(..100) == 0 {
                    // The application is killed; the server notices when it does.
                    (*session, *open) = (writer(&base).await, false);
                }
                *open = write(&mut **session, *open, rng).await;
            }
            76..86 => {
                // Few at a time, so that what belongs together is taken apart.
                let due = drain::Due { entries_max: rng.u32(1..=12), ..drain::Due::default() };
                drain::drain(begun(&mut ours).await, &declaration(), due).await.unwrap();
                end(&base, &mut ours, rng).await;
            }
            86..93 => stamps += u32::from(tick_under_fire(&base, &mut ours, rng).await),
            93 if dialect == Dialect::Postgres => lose_the_lock(&base, &mut ours).await,
            94 if walk.is_done() => {
                // A backfill of what is seeded, while ticks go on.
                walk = Walk(recompute::extent(&mut *ours, &declaration()).await.unwrap());
            }
            _ => walk.slice(&base, &mut ours, rng).await,
        }
    }
    for (session, open) in &mut sessions {
        if *open {
            session.commit().await.unwrap();
        }
    }
    while !walk.is_done() {
        walk.slice(&base, &mut ours, rng).await;
    }
    // What committed since must be above the watermark, wherever that is.
    assert_eq!(stranded(&mut *ours).await, 0, "{dialect:?}, seed {seed}");
    while watermark(&mut *ours).await.is_none() {
        tick_under_fire(&base, &mut ours, rng).await;
    }
    drain_all(&mut *ours).await;
    assert_eq!(differences(&mut *ours).await, Vec::<String>::new(), "{dialect:?}, seed {seed}");
    let left = verified(&mut *ours, None).await;
    assert!(left.is_clean() && left.pending == 0, "{dialect:?}, seed {seed}: verify agrees: {left:?}");
    drop((ours, sessions));
    base.gone().await;
    stamps
}

/// A session of the application's.
async fn writer(base: &Base) -> Box<dyn Session> {
    let mut session = base.session().await;
    if session.dialect() == Dialect::Postgres {
        run(&mut *session, "SET lock_timeout = '20ms'").await;
    }
    session
}

/// The lock goes to another session without a word to the one that had it, which writes nothing from then on.
async fn lose_the_lock(base: &Base, ours: &mut Box<dyn Session>) {
    run(&mut **ours, "SELECT pg_advisory_unlock_all()").await;
    let other = base.pass().await;
    let begun = ours.begin().await;
    assert!(begun.is_err_and(|fault| fault.kind == FaultKind::Lost), "it has no lock");
    *ours = other;
}

/// How work is cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Off {
    /// A statement fails, and the transaction is rolled back.
    RolledBack,
    /// Whoever waits for a statement is dropped while it runs.
    Dropped,
    /// The session is terminated before a statement.
    Terminated,
}

/// Statements before which work is cut off.
const CUTS: [&str; 6] = ["BEGIN", "DELETE FROM \"task_usage_hourly", "INSERT INTO", "UPDATE", "SELECT", "COMMIT"];

/// Does work on the session of a pass, cut off at any of its statements. `None` where it was dropped and nobody knows how far it
/// came; then, and where it was terminated, the session is another one.
async fn cut_off<T>(
    base: &Base,
    ours: &mut Box<dyn Session>,
    rng: &mut Rng,
    work: impl AsyncFnOnce(&mut dyn Session) -> T,
) -> (Option<T>, bool) {
    let at = CUTS[rng.usize(..CUTS.len())];
    let skip = rng.usize(..6);
    let off = match (rng.u8(..3), ours.dialect()) {
        (0, Dialect::Postgres) => Off::Terminated,
        (1, _) => Off::Dropped,
        _ => Off::RolledBack,
    };
    let mut killer = base.session().await;
    let (tell, told) = oneshot::channel();
    let act = match off {
        Off::RolledBack => Act::Cut,
        Off::Dropped => Act::Tell(tell),
        Off::Terminated => Act::Elsewhere(&mut *killer, terminate(&mut **ours).await),
    };
    let (done, happened) = {
        let mut between = Between::new(&mut **ours, at, skip, act);
        let done = unless_told(told, work(&mut between)).await;
        (done, between.happened())
    };
    // The session that was dropped goes on, or another one.
    if happened && (off == Off::Terminated || (off == Off::Dropped && rng.bool())) {
        *ours = killer;
        *ours = base.pass().await;
    }
    (done, happened)
}

/// Ends a session, and waits until it is gone.
async fn terminate(ours: &mut dyn Session) -> String {
    let pid = ours.first("SELECT pg_backend_pid()", &[]).await.unwrap().unwrap()[0].int().unwrap();
    format!(
        "DO $$ BEGIN PERFORM pg_terminate_backend({pid});
             FOR i IN 1..1000 LOOP
                 PERFORM pg_stat_clear_snapshot();
                 EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid});
                 PERFORM pg_sleep(0.005);
             END LOOP; END $$"
    )
}

async fn verified(ours: &mut dyn Session, bound: Option<Timestamp>) -> verify::Verified {
    ours.begin().await.unwrap();
    let verified = verify::verify(ours, &declaration(), bound, &verify::Scope::all()).await.unwrap();
    ours.rollback().await.unwrap();
    verified
}

/// The bound without a lag, which keeps it from machines that are slow to tell that a transaction began; here one thing is done
/// after the other.
async fn bound(ours: &mut dyn Session) -> Timestamp {
    let sql = match ours.dialect() {
        Dialect::Postgres => {
            "SELECT to_char(least(clock_timestamp(), min(xact_start)), 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
             FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND backend_type = 'client backend'"
        }
        Dialect::Sqlite => "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
    };
    let row = ours.first(sql, &[]).await.unwrap().unwrap();
    row[0].text().unwrap().parse().unwrap()
}

/// A tick of few entries at a time, that may be cut off at any of its statements. Wherever the watermark is then, no entry is
/// below it, and what differs is queued if the walk is over. Says whether the watermark moved.
async fn tick_under_fire(base: &Base, ours: &mut Box<dyn Session>, rng: &mut Rng) -> bool {
    let (before, is_seeded) = {
        let state = state::read(&mut **ours, &declaration()).await.unwrap().unwrap();
        (state.watermark, state.seeded_at.is_some())
    };
    let until = bound(&mut **ours).await;
    let reach = Reach { until, span_max: None, entries_max: rng.u32(1..=30), transactions_max: 10_000 };
    let (ticked, happened) = if rng.u8(..3) == 0 {
        cut_off(base, ours, rng, async |session| tick(session, &declaration(), reach).await).await
    } else {
        (Some(tick(&mut **ours, &declaration(), reach).await), false)
    };
    let after = watermark(&mut **ours).await;
    match ticked {
        // It may have been committed, and nobody was told.
        None => assert!(after >= before),
        Some(Ok(_)) => assert!(after >= before),
        Some(Err(TickError::NotSeeded { .. })) => assert!(!is_seeded && after.is_none()),
        Some(Err(fault)) => {
            assert!(happened, "{fault}");
            assert_eq!(after, before, "nothing is stamped");
        }
    }
    assert_eq!(stranded(&mut **ours).await, 0);
    if is_seeded {
        let found = verified(&mut **ours, Some(until.max(after.unwrap_or(until)))).await;
        // A tick that was cut off before its stamp leaves none, which is told.
        let found =
            highwater_rollup::verify::Verified { unstamped: found.unstamped.filter(|_| after.is_some()), ..found };
        assert!(found.is_clean(), "{found:?}");
    }
    if rng.u8(..6) == 0 {
        again(base, ours).await;
    }
    after > before
}

/// What is left of the walk through the source.
struct Walk(Option<recompute::Span>);

impl Walk {
    fn is_done(&self) -> bool {
        self.0.is_none()
    }

    async fn slice(&mut self, base: &Base, ours: &mut Box<dyn Session>, rng: &mut Rng) {
        let Some(left) = self.0 else { return };
        let to =
            left.from + jiff::SignedDuration::from_hours(if rng.bool() { rng.i64(1..=12) } else { rng.i64(1..=400) });
        let slice = recompute::Span { from: left.from, to: to.min(left.to) };
        let is_last = slice.to == left.to;
        let committed = if rng.u8(..4) == 0 {
            let work = async |session: &mut dyn Session| {
                let done = sliced(session, slice, is_last).await;
                if done.is_err() {
                    session.rollback().await.ok();
                }
                done
            };
            let (done, happened) = cut_off(base, ours, rng, work).await;
            // What nobody knows the end of is done again.
            match done {
                None => false,
                Some(Ok(())) => true,
                Some(Err(fault)) => {
                    assert!(happened, "{fault}");
                    false
                }
            }
        } else {
            sliced(&mut **ours, slice, is_last).await.unwrap();
            true
        };
        if committed {
            self.0 = (!is_last).then_some(recompute::Span { from: slice.to, ..left });
        }
    }
}

/// One slice, in a transaction; the last one says that all are computed.
async fn sliced(session: &mut dyn Session, slice: recompute::Span, is_last: bool) -> Result<(), Fault> {
    session.begin().await?;
    recompute::span(session, &declaration(), slice).await?;
    if is_last {
        state::seeded(session, &declaration(), slice.to).await?;
    }
    session.commit().await
}

/// Another pass, in a session of its own.
async fn again(base: &Base, ours: &mut Box<dyn Session>) {
    // The lock goes with the session that has it.
    *ours = base.session().await;
    *ours = base.pass().await;
}

async fn begun(ours: &mut Box<dyn Session>) -> &mut dyn Session {
    ours.begin().await.unwrap();
    &mut **ours
}

/// Commits; or is cut off before, by a roll back or by the end of the session. Says whether it is committed.
async fn end(base: &Base, ours: &mut Box<dyn Session>, rng: &mut Rng) -> bool {
    match rng.u8(..10) {
        0 => ours.rollback().await.unwrap(),
        1 => again(base, ours).await,
        _ => {
            ours.commit().await.unwrap();
            return true;
        }
    }
    false
}

/// One statement of a writer, in a transaction of its own or in one that stays open; says whether one is open.
async fn write(session: &mut dyn Session, open: bool, rng: &mut Rng) -> bool {
    if open && rng.u8(..4) == 0 {
        if rng.u8(..8) == 0 {
            session.rollback().await.unwrap()
        } else {
            session.commit().await.unwrap()
        }
        return false;
    }
    let stays_open = session.dialect() == Dialect::Postgres;
    if stays_open && !open {
        // As applications do it, each statement seeing what is committed by then.
        session.begin().await.unwrap();
        run(session, "ROLLBACK; BEGIN").await;
    }
    let sql = change(session.dialect(), rng);
    match session.batch(&sql).await {
        Ok(()) => stays_open,
        Err(fault) => {
            let is_expected = fault.kind == FaultKind::Contended
                || ["foreign key", "FOREIGN KEY", "UNIQUE", "unique"].iter().any(|word| fault.message.contains(word));
            assert!(is_expected, "{sql}: {fault}");
            session.rollback().await.unwrap();
            if stays_open {
                run(session, "ROLLBACK").await;
            }
            false
        }
    }
}

const AGENTS: i64 = 4;
const ISSUES: i64 = 8;
const TASKS: i64 = 20;
const USAGES: i64 = 300;

fn maybe(rng: &mut Rng, below: i64) -> String {
    if rng.u8(..4) == 0 { "NULL".to_owned() } else { rng.i64(1..=below).to_string() }
}

/// A time by the application's clock, which is at times an hour off, and at times a month; buckets are few, so that cells are
/// shared.
fn time(rng: &mut Rng) -> String {
    let jump = if rng.u8(..40) == 0 { rng.i64(-1..=1) * 30 * 86_400 } else { 0 };
    let second = 1_767_225_600 + rng.i64(0..72) * 3600 + rng.i64(0..3600) + rng.i64(-1..=1) * 3600 + jump;
    format!("'{}'", jiff::Timestamp::from_second(second).unwrap())
}

fn usage(rng: &mut Rng, id: i64) -> String {
    let provider = ["NULL", "'anthropic'", "'openai'"][rng.usize(..3)];
    let model = ["'small'", "'large'"][rng.usize(..2)];
    let cost = if rng.bool() { "NULL".to_owned() } else { format!("{}", rng.i64(0..1000) as f64 / 8.0) };
    format!("({id}, {}, {provider}, {model}, {}, {cost}, {})", rng.i64(1..=TASKS), rng.i64(0..1000), time(rng))
}

fn change(dialect: Dialect, rng: &mut Rng) -> String {
    let id = rng.i64(1..=USAGES);
    match rng.u8(..20) {
        0..6 => {
            let replace = match dialect {
                Dialect::Sqlite if rng.bool() => "INSERT OR REPLACE INTO task_usage VALUES",
                _ => "INSERT INTO task_usage VALUES",
            };
            format!("{replace} {}", usage(rng, id))
        }
        6 => format!("UPDATE task_usage SET tokens = {} WHERE id = {id}", rng.i64(0..1000)),
        7 => format!("UPDATE task_usage SET created_at = {} WHERE id BETWEEN {id} AND {}", time(rng), id + 3),
        8 => format!("UPDATE task_usage SET task_id = {} WHERE id = {id}", rng.i64(1..=TASKS)),
        9 => format!("UPDATE task_usage SET id = {} WHERE id = {id}", rng.i64(1..=USAGES)),
        10 | 11 => format!("DELETE FROM task_usage WHERE id = {id}"),
        12 => format!("UPDATE agent_task_queue SET runtime_id = {} WHERE id = {}", maybe(rng, 3), rng.i64(1..=TASKS)),
        13 => {
            format!("UPDATE agent_task_queue SET issue_id = {} WHERE id = {}", maybe(rng, ISSUES), rng.i64(1..=TASKS))
        }
        14 => {
            format!("UPDATE agent_task_queue SET agent_id = {} WHERE id = {}", rng.i64(1..=AGENTS), rng.i64(1..=TASKS))
        }
        15 => format!("UPDATE issue SET project_id = {} WHERE id = {}", maybe(rng, 3), rng.i64(1..=ISSUES)),
        16 => format!("UPDATE agent SET workspace_id = {} WHERE id = {}", rng.i64(1..=2), rng.i64(1..=AGENTS)),
        17 => format!("DELETE FROM issue WHERE id = {}", rng.i64(1..=ISSUES)),
        18 => format!("INSERT INTO issue VALUES ({}, {})", rng.i64(1..=ISSUES), maybe(rng, 3)),
        _ => format!(
            "INSERT INTO agent_task_queue VALUES ({}, {}, {}, {})",
            rng.i64(1..=TASKS),
            rng.i64(1..=AGENTS),
            maybe(rng, ISSUES),
            maybe(rng, 3)
        ),
    }
}

async fn populate(session: &mut dyn Session, rng: &mut Rng) {
    let rows = |rows: Vec<String>| rows.join(", ");
    let agents = rows((1..=AGENTS).map(|id| format!("({id}, {})", rng.i64(1..=2))).collect());
    run(session, &format!("INSERT INTO agent VALUES {agents}")).await;
    let issues = rows((1..=ISSUES).map(|id| format!("({id}, {})", maybe(rng, 3))).collect());
    run(session, &format!("INSERT INTO issue VALUES {issues}")).await;
    let task = |id| format!("({id}, {}, {}, {})", rng.i64(1..=AGENTS), maybe(rng, ISSUES), maybe(rng, 3));
    let tasks = rows((1..=TASKS).map(task).collect());
    run(session, &format!("INSERT INTO agent_task_queue VALUES {tasks}")).await;
    let usages = rows((1..=USAGES).filter(|id| id % 2 == 0).map(|id| usage(rng, id)).collect());
    run(session, &format!("INSERT INTO task_usage VALUES {usages}")).await;
}
