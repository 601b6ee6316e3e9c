//! The bound as PostgreSQL tells it: who holds it back, and when there is none.

use highwater_db::session::{Dialect, Session};
use highwater_rollup::bound::{self, Bound};

use highwater_db::postgres::{Address, PostgresSession};
use highwater_testkit::postgres::Postgres;

use crate::usage::{Base, LAG, later, run};

async fn read(session: &mut dyn Session, ignores: &[&str]) -> Bound {
    let ignores: Vec<String> = ignores.iter().map(|&name| name.to_owned()).collect();
    bound::read(session, LAG, &ignores).await.unwrap()
}

fn held_by(bound: &Bound) -> Option<i64> {
    match bound {
        Bound::Until { held_by, .. } => held_by.as_ref().map(|holder| holder.pid),
        other => panic!("{other:?}"),
    }
}

async fn pid(session: &mut dyn Session) -> Option<i64> {
    session.first("SELECT pg_backend_pid()", &[]).await.unwrap().unwrap()[0].int()
}

#[tokio::test]
async fn r07_a_role_that_does_not_see_others_transactions_has_no_bound() {
    let base = Base::new(Dialect::Postgres).await;
    let mut session = base.session().await;
    run(&mut *session, "DROP ROLE IF EXISTS blind; CREATE ROLE blind; SET ROLE blind").await;
    assert_eq!(read(&mut *session, &[]).await, Bound::Blind { role: "blind".to_owned() });
    run(&mut *session, "RESET ROLE; GRANT pg_read_all_stats TO blind; SET ROLE blind").await;
    assert_eq!(held_by(&read(&mut *session, &[]).await), None);
}

#[tokio::test]
async fn r07_a_prepared_transaction_leaves_no_bound_and_one_of_another_database_does_not_count() {
    let (base, elsewhere) = (Base::new(Dialect::Postgres).await, Base::new(Dialect::Postgres).await);
    let (mut session, mut other) = (base.session().await, elsewhere.session().await);
    let prepare = "BEGIN; INSERT INTO agent VALUES (1, 1); PREPARE TRANSACTION 'a'";
    run(&mut *session, prepare).await;
    assert_eq!(read(&mut *session, &[]).await, Bound::Prepared { transactions: 1 });
    assert_eq!(held_by(&read(&mut *other, &[]).await), None);
    run(&mut *session, "COMMIT PREPARED 'a'").await;
    assert_eq!(held_by(&read(&mut *session, &[]).await), None);
}

#[tokio::test]
async fn r07_a_standby_has_no_bound_and_its_primary_has() {
    let primary = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let standby = primary.standby().unwrap();
    let open =
        async |server: &Postgres| PostgresSession::open(&server.url().parse::<Address>().unwrap()).await.unwrap();
    assert_eq!(read(&mut open(&standby).await, &[]).await, Bound::Standby);
    assert_eq!(held_by(&read(&mut open(&primary).await, &[]).await), None);
    drop(standby);
}

#[tokio::test]
async fn r07_a_session_that_hides_its_transactions_leaves_no_bound() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut session, mut hidden) = (base.session().await, base.session().await);
    run(&mut *hidden, "SET track_activities = off").await;
    let pid = pid(&mut *hidden).await.unwrap();
    assert_eq!(read(&mut *session, &[]).await, Bound::Hidden { pid });
}

#[tokio::test]
async fn what_only_reads_is_ignored_by_its_role_or_its_application_and_others_are_not() {
    let base = Base::new(Dialect::Postgres).await;
    let (mut session, mut dump) = (base.session().await, base.session().await);
    run(&mut *dump, "SET application_name = 'pg_dump'").await;
    run(&mut *dump, "BEGIN; SELECT 1").await;
    let pid = pid(&mut *dump).await;
    later(&mut *session).await;
    assert_eq!(held_by(&read(&mut *session, &[]).await), pid, "even one that only reads");
    let Bound::Until { held_by: Some(holder), .. } = read(&mut *session, &["nobody", "dump"]).await else { panic!() };
    assert_eq!(
        holder.to_string(),
        format!("process {} (application pg_dump, role postgres)", pid.unwrap()),
        "it is named, so that a person knows what to do"
    );
    assert_eq!(held_by(&read(&mut *session, &["nobody", "pg_dump"]).await), None);
    assert_eq!(held_by(&read(&mut *session, &["postgres"]).await), None, "it is a role too");
}

#[tokio::test]
async fn r07_the_own_session_and_those_of_other_databases_do_not_hold_the_bound_back() {
    let (base, elsewhere) = (Base::new(Dialect::Postgres).await, Base::new(Dialect::Postgres).await);
    let (mut session, mut other) = (base.session().await, elsewhere.session().await);
    run(&mut *other, "BEGIN; SELECT 1").await;
    run(&mut *session, "BEGIN; SELECT 1").await;
    later(&mut *session).await;
    assert_eq!(held_by(&read(&mut *session, &[]).await), None);
}

#[tokio::test]
async fn r07_a_lag_of_nothing_is_still_the_shortest() {
    for dialect in [Dialect::Postgres, Dialect::Sqlite] {
        let base = Base::new(dialect).await;
        let mut session = base.session().await;
        let Bound::Until { at, .. } = bound::read(&mut *session, std::time::Duration::ZERO, &[]).await.unwrap() else {
            panic!("{dialect:?}")
        };
        let now = match dialect {
            Dialect::Postgres => "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint",
            Dialect::Sqlite => "SELECT unixepoch('now')",
        };
        let now = session.first(now, &[]).await.unwrap().unwrap()[0].int().unwrap();
        assert!(at.as_second() < now, "{dialect:?}: {at} {now}");
    }
}
