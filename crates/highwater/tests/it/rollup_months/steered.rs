//! A seed that is slowed and steered while it runs: by a signal over its limit, by one that cannot be read (R17), by a person.

use super::Months;
use crate::rig::{end, signal, wait_until};

/// Days of raw rows, one an hour.
const DAYS: i64 = 40;

/// A rollup that is installed, and its raw rows; what one part computed is told by the transaction that wrote it.
fn place(more: &str) -> Months {
    let months = Months::postgres(&format!("slice = \"400 days\"\n{more}"));
    months.sql(&format!(
        "INSERT INTO usage SELECT n, date_trunc('hour', now()) - n * interval '1 hour', 'm', n FROM generate_series(1, {DAYS} * 24) AS s(n)"
    ));
    months.rig.ok(&["rollup", "install", "usage"]);
    months
}

/// How many hours each transaction wrote, in their order.
fn parts(months: &Months) -> Vec<usize> {
    let rows = months.rows("SELECT count(*)::text FROM hourly GROUP BY xmin::text ORDER BY min(bucket)");
    rows.into_iter().map(|row| row[0].as_deref().unwrap_or_default().parse().unwrap()).collect()
}

fn whole(months: &Months) {
    assert_eq!(parts(months).iter().sum::<usize>(), (DAYS * 24) as usize);
    assert!(months.call(&["verify", "usage"], 0).contains(" 0 wrong"));
}

#[test]
fn a_slice_that_is_set_is_the_next_part_of_a_running_seed() {
    let months = place("sleep = \"1s\"");
    let pass = months.rig.start(&["run", "usage", "--json"]);
    wait_until("the first part", || !parts(&months).is_empty());
    months.rig.ok(&["set", "usage", "slice=2h"]);
    wait_until("parts that were set", || parts(&months).last() == Some(&2));
    let first = parts(&months)[0];
    assert!(first > 100, "the first part was as long as a part is: {first}");
    signal(&pass, "TERM");
    assert_eq!(end(pass).code, 3);
    months.rig.ok(&["unset", "usage", "slice"]);
    months.rig.ok(&["set", "usage", "max-time=10m"]);
    months.pass(0);
    whole(&months);
}

const HEALTH: &str = "throttle-every = \"1s\"\n[[job.usage.throttle]]\nsignal = \"file\"\npath = \"health\"\nlimit = 5";

#[test]
fn r17_a_signal_over_its_limit_holds_a_seed_back_and_makes_its_parts_smaller() {
    let free = place("");
    free.pass(0);
    let at_full_speed = parts(&free)[0];

    let months = place(HEALTH);
    months.rig.write("health", "9\n");
    let pass = months.rig.start(&["run", "usage", "--json"]);
    let throttled = || months.rig.ok(&["status", "usage"]).stdout.contains("throttle");
    wait_until("a throttle that is told", throttled);
    assert!(parts(&months).is_empty(), "nothing is computed while the server is unwell");
    months.rig.write("health", "1\n");
    assert_eq!(end(pass).code, 0);
    let first = parts(&months)[0];
    assert!(first < at_full_speed, "{first} hours after a halving, {at_full_speed} at full speed");
    whole(&months);
}

#[test]
fn r17_a_signal_that_cannot_be_read_lets_no_slice_begin() {
    let months = place(&format!("throttle-wait = \"2s\"\n{HEALTH}"));
    let told = months.call(&["run", "usage", "--json"], 3);
    assert!(told.contains("\"throttled\"") && told.contains("health"), "{told}");
    assert!(parts(&months).is_empty());
    months.rig.write("health", "0\n");
    months.pass(0);
    whole(&months);
}
