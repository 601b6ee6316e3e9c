//! How well a server is, asked of real ones.

use std::sync::OnceLock;
use std::time::Duration;

use highwater_db::postgres::{Address, Health, PostgresSession};
use highwater_db::session::{Session, Value};
use highwater_testkit::postgres::Postgres;

/// How often something that is to happen on a server is looked for, and how long between two looks.
const LOOKS_MAX: u32 = 500;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One for all tests but those that change what all see.
fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start_with(&[("fsync", "off")]).unwrap())
}

async fn session(server: &Postgres) -> PostgresSession {
    PostgresSession::open(&server.url().parse::<Address>().unwrap()).await.unwrap()
}

/// A database of the test's own, by name.
async fn database(name: &str) -> Address {
    session(server()).await.batch(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server().url().rsplit_once('/').map(|(base, name)| (base.to_owned(), name.to_owned())).unwrap();
    format!("{base}/{name}").parse().unwrap()
}

async fn open(address: &Address) -> PostgresSession {
    PostgresSession::open(address).await.unwrap()
}

/// The figure; `None` where it cannot be read.
async fn read(session: &mut PostgresSession, health: Health) -> Option<f64> {
    let row = session.first(health.sql(), &[]).await.unwrap().unwrap();
    match row.as_slice() {
        [Value::Real(number)] => Some(*number),
        [Value::Null] => None,
        other => panic!("{other:?}"),
    }
}

async fn comes_to(line: u32, session: &mut PostgresSession, health: Health, wanted: impl Fn(Option<f64>) -> bool) {
    let mut last = None;
    for _ in 0..LOOKS_MAX {
        last = read(session, health).await;
        if wanted(last) {
            return;
        }
        pause().await;
    }
    panic!("line {line}: {health:?} stays {last:?}");
}

#[expect(clippy::disallowed_methods, reason = "a test that waits for a server")]
async fn pause() {
    tokio::time::sleep(LOOK_EVERY).await;
}

#[tokio::test]
async fn who_waits_for_a_lock_in_this_database_is_counted_once() {
    let address = database("waiters").await;
    let (mut asks, mut holds) = (open(&address).await, open(&address).await);
    assert_eq!(read(&mut asks, Health::LockWaiters).await, Some(0.0));
    holds.batch("CREATE TABLE held (id int)").await.unwrap();
    holds.batch("BEGIN; LOCK TABLE held").await.unwrap();
    let waits = (0..2).map(async |_| {
        let mut waiter = open(&address).await;
        waiter.batch("SELECT * FROM held").await.unwrap();
    });
    let waiting = futures_of(waits);
    let looks = async {
        comes_to(line!(), &mut asks, Health::LockWaiters, |waiters| waiters == Some(2.0)).await;
        let mut elsewhere = session(server()).await;
        assert_eq!(read(&mut elsewhere, Health::LockWaiters).await, Some(0.0), "of another database");
        // A role that may see nothing else sees the locks.
        asks.batch("CREATE ROLE waiters_blind; SET ROLE waiters_blind").await.unwrap();
        assert_eq!(read(&mut asks, Health::LockWaiters).await, Some(2.0));
        holds.batch("COMMIT").await.unwrap();
        comes_to(line!(), &mut asks, Health::LockWaiters, |waiters| waiters == Some(0.0)).await;
    };
    tokio::join!(waiting, looks);
}

async fn futures_of(all: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        all.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn r17_clients_at_work_are_counted_and_a_role_that_cannot_see_them_reads_nothing() {
    let address = database("actives").await;
    let (mut asks, mut works) = (open(&address).await, open(&address).await);
    assert_eq!(read(&mut asks, Health::ActiveBackends).await, Some(0.0), "not the one that asks, nor one that is idle");
    let working = async { works.batch("SELECT pg_sleep(60)").await.unwrap_err() };
    let looks = async {
        comes_to(line!(), &mut asks, Health::ActiveBackends, |active| active == Some(1.0)).await;
        asks.batch("CREATE ROLE actives_blind; SET ROLE actives_blind").await.unwrap();
        assert_eq!(read(&mut asks, Health::ActiveBackends).await, None);
        asks.batch("RESET ROLE; GRANT pg_read_all_stats TO actives_blind; SET ROLE actives_blind").await.unwrap();
        assert_eq!(read(&mut asks, Health::ActiveBackends).await, Some(1.0));
        asks.batch("RESET ROLE").await.unwrap();
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        asks.batch(cancel).await.unwrap();
        comes_to(line!(), &mut asks, Health::ActiveBackends, |active| active == Some(0.0)).await;
    };
    tokio::join!(working, looks);
}

#[tokio::test]
async fn r17_the_lag_is_the_slowest_standby_s_and_without_one_there_is_nothing_to_read() {
    let primary = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let mut asks = session(&primary).await;
    assert_eq!(read(&mut asks, Health::ReplicationLag).await, None, "no standby is connected");

    let standby = primary.standby().unwrap();
    asks.batch("CREATE TABLE written (id int)").await.unwrap();
    comes_to(line!(), &mut asks, Health::ReplicationLag, |lag| lag.is_some_and(|lag| lag < 30.0)).await;
    asks.batch("CREATE ROLE blind; SET ROLE blind").await.unwrap();
    assert_eq!(read(&mut asks, Health::ReplicationLag).await, None, "the role may not see it");
    asks.batch("RESET ROLE; GRANT pg_read_all_stats TO blind; SET ROLE blind").await.unwrap();
    assert!(read(&mut asks, Health::ReplicationLag).await.is_some());
    asks.batch("RESET ROLE").await.unwrap();

    // Asked of the standby itself: what it has not replayed yet is as old as the last it has.
    let mut follows = session(&standby).await;
    let mut looks = 0..LOOKS_MAX;
    while follows.first("SELECT 1 FROM pg_class WHERE relname = 'written'", &[]).await.unwrap().is_none() {
        looks.next().expect("it is replayed in time");
        pause().await;
    }
    comes_to(line!(), &mut follows, Health::ReplicationLag, |lag| lag == Some(0.0)).await;
    follows.batch("SELECT pg_wal_replay_pause()").await.unwrap();
    asks.batch("INSERT INTO written VALUES (1)").await.unwrap();
    comes_to(line!(), &mut follows, Health::ReplicationLag, |lag| lag.is_some_and(|lag| lag > 0.0)).await;
    drop(follows);
    drop(standby);
    comes_to(line!(), &mut asks, Health::ReplicationLag, |lag| lag.is_none()).await;
}
