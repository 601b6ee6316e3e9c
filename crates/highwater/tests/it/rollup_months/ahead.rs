//! Slices that are quicker than a transaction may be: the last part of one goes on into those after it.

use super::Months;

/// Days of raw rows, one an hour.
const DAYS: i64 = 300;

fn place() -> Months {
    let months = Months::postgres("");
    months.sql(&format!(
        "INSERT INTO usage SELECT n, date_trunc('hour', now()) - n * interval '1 hour', 'm', n FROM generate_series(1, {DAYS} * 24) AS s(n)"
    ));
    months.rig.ok(&["rollup", "install", "usage"]);
    months
}

fn whole(months: &Months) {
    let cells = months.rows("SELECT count(*)::text FROM hourly");
    assert_eq!(cells[0][0].as_deref().unwrap(), (DAYS * 24).to_string());
    assert!(months.call(&["verify", "usage"], 0).contains(" 0 wrong"));
}

#[test]
fn a_month_that_is_quick_is_computed_by_the_transaction_of_the_one_before() {
    let months = place();
    months.pass(0);
    let across = months.rows(
        "SELECT xmin::text FROM hourly GROUP BY xmin::text HAVING count(DISTINCT date_trunc('month', bucket, 'UTC')) > 2",
    );
    assert!(!across.is_empty(), "some transaction wrote three months");
    whole(&months);
}

#[test]
fn r05_what_a_pass_computed_ahead_is_computed_again_by_the_next_one() {
    let months = place();
    months.call(&["run", "usage", "--max-items", "1"], 3);
    let cells = || months.rows("SELECT count(*)::text FROM hourly")[0][0].as_deref().unwrap().parse::<i64>().unwrap();
    assert!((1..DAYS * 24).contains(&cells()));
    // Nobody is told of that: what was computed ahead is not taken for done.
    months.sql("DELETE FROM hourly WHERE bucket >= (SELECT date_trunc('month', min(bucket), 'UTC') + interval '1 month' FROM hourly)");
    months.pass(0);
    whole(&months);
}
