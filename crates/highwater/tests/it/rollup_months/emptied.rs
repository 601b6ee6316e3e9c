//! TRUNCATE and partitions that go with live rows: a pass halts, says what happened and what to do, and that works.

use super::Months;

#[test]
fn r04_a_truncate_in_the_live_range_halts_and_the_way_out_is_as_it_says() {
    for remove in [false, true] {
        let months = Months::postgres("");
        months.usage(1, 30, "'large'", 1);
        months.usage(2, 2, "'large'", 2);
        months.seed();
        months.sql("TRUNCATE usage");
        months.usage(3, 2, "'large'", 7);
        let ended = months.pass(4);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(text.contains("TRUNCATE emptied usage at 20"), "{text}");
        let status = months.call(&["status", "usage"], 0);
        assert!(status.contains("highwater verify usage --repair"), "{status}");
        assert_eq!(months.tokens(), ["1", "2"], "what is stale stays, and is told");
        months.pass(4);
        let mut repair = vec!["verify", "usage", "--repair"];
        repair.extend(remove.then_some("--remove"));
        let text = months.call(&repair, 4);
        assert!(
            text.contains("next: `highwater rearm usage --why …`, then `highwater run usage --tick` mends them"),
            "{text}"
        );
        months.call(&["rearm", "usage", "--why", "looked"], 0);
        months.pass(0);
        assert_eq!(months.tokens(), if remove { vec!["7"] } else { vec!["1", "7"] });
        months.call(&["verify", "usage"], if remove { 0 } else { 4 });
    }
}

#[test]
fn r04_a_partition_that_is_detached_with_live_rows_halts_and_one_of_frozen_rows_does_not() {
    let months = Months::postgres("freeze-before = \"90 days\"\nsource-key = [\"id\", \"at\"]");
    months.sql("DROP TABLE usage");
    months.sql("CREATE TABLE usage (id bigint, at timestamptz, model text, tokens bigint, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)");
    let time = |hours_ago: i64| jiff::Timestamp::from_second(months.hour() - hours_ago * 3600).unwrap();
    for (name, from, to) in [("old", 300 * 24, 200 * 24), ("live", 48, -48)] {
        months.sql(&format!(
            "CREATE TABLE usage_{name} PARTITION OF usage FOR VALUES FROM ('{}') TO ('{}')",
            time(from),
            time(to)
        ));
    }
    months.usage(1, 250 * 24, "'large'", 1);
    months.usage(2, 2, "'large'", 2);
    months.seed();
    months.pass(0);
    months.sql("ALTER TABLE usage DETACH PARTITION usage_old; DROP TABLE usage_old");
    months.pass(0);
    assert_eq!(months.tokens(), ["1", "2"]);
    months.sql("ALTER TABLE usage DETACH PARTITION usage_live");
    let ended = months.pass(4);
    let text = format!("{}{}", ended.stdout, ended.stderr);
    assert!(text.contains("the partition usage_live was detached or dropped"), "{text}");
    // It was a mistake: with its rows back, the buckets are right, and nothing is to be repaired.
    months.sql(&format!(
        "ALTER TABLE usage ATTACH PARTITION usage_live FOR VALUES FROM ('{}') TO ('{}')",
        time(48),
        time(-48)
    ));
    months.call(&["verify", "usage"], 0);
    months.call(&["rearm", "usage", "--why", "it is back"], 0);
    months.pass(0);
    assert_eq!(months.tokens(), ["1", "2"]);
}
