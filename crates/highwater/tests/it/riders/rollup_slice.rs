//! A rollup slice in PostgreSQL, run on the session that holds advisory lock 4246: the shape of a rollup.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::Stream;
use highwater_engine::clock::SystemClock;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::lock::{Held, Lock, LockIdentity, Probe};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::Outcome;
use highwater_engine::report::{PassReport, Reason};
use highwater_testkit::postgres::Postgres;
use jiff::Timestamp;
use tokio_postgres::{Client, NoTls};

use super::Ride;
use highwater_testkit::named::{Named, names};

const KEY: i64 = 4246;

/// `postgres:` as a database crate would bring it.
struct AdvisoryLock {
    url: String,
}

/// The session that holds the lock; the lock goes with it.
struct Session {
    client: Client,
    lost: Arc<AtomicBool>,
}

#[async_trait]
impl Lock for AdvisoryLock {
    fn describe(&self) -> String {
        format!("postgres:{KEY}")
    }

    fn identity(&self) -> Result<LockIdentity, Diagnosis> {
        Ok(LockIdentity::Key(format!("{} {KEY}", self.url)))
    }

    async fn try_take(&self) -> Result<Option<Box<dyn Held>>, Stop> {
        let failed = |e: tokio_postgres::Error| Diagnosis::failure("HW-TST-001", e.to_string(), "look at PostgreSQL");
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.map_err(failed)?;
        let lost = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let lost = Arc::clone(&lost);
            async move {
                let _ = connection.await;
                lost.store(true, Ordering::SeqCst);
            }
        });
        let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&KEY]).await.map_err(failed)?;
        Ok(row.get::<_, bool>(0).then(|| Box::new(Session { client, lost }) as Box<dyn Held>))
    }
}

#[async_trait]
impl Held for Session {
    fn probe(&self) -> Probe {
        let lost = Arc::clone(&self.lost);
        Box::new(move || !lost.load(Ordering::SeqCst))
    }

    fn session(&mut self) -> &mut (dyn Any + Send) {
        &mut self.client
    }
}

struct RollupSlice {
    resource: ResourceName,
    /// In this slice the session is terminated from outside.
    cut_at: Option<&'static str>,
    admin: Client,
}

fn lost(error: &tokio_postgres::Error) -> Stop {
    Stop::checkpoint(Reason::LockLost, format!("the session that holds the lock is gone: {error}"))
}

impl Job for RollupSlice {
    type Item = Named;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Named, Stop>> + Send {
        names((1..=6).map(|month| format!("2026-{month:02}")))
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Named>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Named, (): ()) -> Result<Outcome, Stop> {
        let client = cx.session::<Client>(&self.resource).expect("the lock's session is PostgreSQL's");
        let slice = client.transaction().await.map_err(|e| lost(&e))?;
        let from = format!("{}-01", item.name());
        slice
            .execute(
                "INSERT INTO usage_hourly SELECT date_trunc('hour', at), sum(tokens) FROM usage
                 WHERE at >= $1::text::timestamptz AND at < $1::text::timestamptz + interval '1 month' GROUP BY 1
                 ON CONFLICT (hour) DO UPDATE SET tokens = excluded.tokens",
                &[&from],
            )
            .await
            .map_err(|e| lost(&e))?;
        let held: bool =
            self.admin.query_one("SELECT pg_try_advisory_lock($1)", &[&KEY]).await.expect("an answer").get(0);
        assert!(!held, "no other session gets the lock while a slice runs");
        if self.cut_at == Some(item.name()) {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4246";
            self.admin.execute(cut, &[]).await.expect("terminated");
        }
        slice.commit().await.map_err(|e| lost(&e))?;
        Ok(Outcome::done())
    }

    async fn seal(&self, cx: &mut CommitCx, report: &PassReport) -> Result<(), Stop> {
        if report.drained() {
            let client = cx.session::<Client>(&self.resource).expect("the lock's session is PostgreSQL's");
            let row = client.query_one("SELECT max(at)::text FROM usage", &[]).await.map_err(|e| lost(&e))?;
            let newest: Timestamp = row.get::<_, String>(0).replace("+00", "Z").parse().expect("a time");
            cx.stamp_watermark("usage_hourly", newest);
        }
        Ok(())
    }
}

async fn equal_to_a_fresh_group_by(admin: &Client) -> bool {
    let differ = "SELECT count(*) FROM (SELECT date_trunc('hour', at) AS hour, sum(tokens) AS tokens FROM usage GROUP BY 1) fresh
                  FULL JOIN usage_hourly USING (hour) WHERE fresh.tokens IS DISTINCT FROM usage_hourly.tokens";
    admin.query_one(differ, &[]).await.expect("an answer").get::<_, i64>(0) == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r16_slices_run_on_the_session_that_holds_the_lock_and_end_with_it() {
    let postgres = Postgres::start_with(&[("timezone", "UTC")]).unwrap();
    let admin = postgres.connect().await.unwrap();
    admin
        .batch_execute(
            "CREATE TABLE usage (at timestamptz NOT NULL, tokens bigint NOT NULL);
             CREATE TABLE usage_hourly (hour timestamptz PRIMARY KEY, tokens numeric NOT NULL);
             INSERT INTO usage SELECT '2026-01-01T00:00:00Z'::timestamptz + n * interval '37 minutes', n FROM generate_series(1, 7000) n;",
        )
        .await
        .unwrap();
    let mut ride = Ride::new("rollup-slice", SystemClock::shared());
    ride.lock(AdvisoryLock { url: postgres.url() });
    let mut job = RollupSlice { resource: ride.resource.clone(), cut_at: Some("2026-03"), admin };

    let other = postgres.connect().await.unwrap();
    assert!(other.query_one("SELECT pg_try_advisory_lock($1)", &[&KEY]).await.unwrap().get::<_, bool>(0));
    let held = Arc::new(job);
    assert_eq!(ride.pass(&held).await.reason, Reason::LockHeld, "a psql session holds 4246");
    other.execute("SELECT pg_advisory_unlock($1)", &[&KEY]).await.unwrap();

    let report = ride.pass(&held).await;
    assert_eq!((report.reason, report.counts.done), (Reason::LockLost, 2), "{}", report.message);
    let march = "SELECT count(*) FROM usage_hourly WHERE hour >= '2026-03-01T00:00:00Z'";
    assert_eq!(held.admin.query_one(march, &[]).await.unwrap().get::<_, i64>(0), 0, "the slice was rolled back");
    let name = &ride.spec.name;
    assert_eq!(ride.engine.ledger.watermark(name, "usage_hourly").await.unwrap(), None, "nothing was stamped");

    job = Arc::into_inner(held).expect("no pass holds it");
    job.cut_at = None;
    let job = Arc::new(job);
    let report = ride.pass(&job).await;
    assert_eq!((report.reason, report.counts.done), (Reason::Drained, 4), "{}", report.message);
    assert!(equal_to_a_fresh_group_by(&job.admin).await);
    assert!(ride.engine.ledger.watermark(name, "usage_hourly").await.unwrap().is_some());
}
