//! A session on a real PostgreSQL: what goes in and comes out.

use highwater_db::postgres::{Address, PostgresSession};
use highwater_db::session::{Session, Value};
use highwater_testkit::postgres::Postgres;

#[tokio::test]
async fn times_go_in_wherever_a_statement_wants_them_and_days_do_not() {
    let server = Postgres::start_with(&[("fsync", "off"), ("timezone", "Asia/Tokyo")]).unwrap();
    let address: Address = server.url().parse().unwrap();
    let mut session = PostgresSession::open(&address).await.unwrap();
    let at = [Value::from("2026-01-31T23:30:00.5Z")];
    for of in ["timestamptz", "timestamp"] {
        let sql = format!("SELECT extract(epoch FROM $1::{of})::float8");
        let read = session.query(&sql, &at).await.unwrap();
        assert_eq!(read, [[Value::Real(1_769_902_200.5)]], "{of}");
    }
    let refused = session.query("SELECT $1::date", &at).await.unwrap_err();
    assert!(refused.message.contains("where the statement wants date: cast it there"), "{refused}");

    let row = session
        .first(
            "SELECT pg_advisory_unlock_all(), sum(n) * 1000000, -sum(n), 0::numeric, 12.5::numeric, -0.0001::numeric,
                    1e30::numeric, NULL::numeric FROM generate_series(1, 9) AS n",
            &[],
        )
        .await
        .unwrap()
        .unwrap();
    let expected = [
        Value::Null,
        Value::Int(45_000_000),
        Value::Int(-45),
        Value::Int(0),
        Value::Real(12.5),
        Value::Real(-0.0001),
        Value::Real(1e30),
        Value::Null,
    ];
    assert_eq!(row, expected);
}
