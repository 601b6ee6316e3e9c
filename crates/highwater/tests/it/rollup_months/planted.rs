//! Corruptions that are planted: `verify` finds each and nothing else, and `--repair` mends it and touches no other row.

use serde_json::Value;

use super::Months;

/// Three hours of two models.
fn seeded(months: &Months) {
    for (id, hours_ago) in [(1, 2), (2, 30), (3, 100)] {
        months.usage(id, hours_ago, "'large'", 10 * id);
        months.usage(10 + id, hours_ago, "NULL", id);
    }
    months.seed();
    assert_eq!(months.target().len(), 6);
    let text = months.call(&["verify", "usage"], 0);
    assert!(text.starts_with("usage: 6 cells, 0 wrong\n"), "{text}");
}

/// The bucket of the hour 30 hours ago.
const MIDDLE: &str = "(SELECT bucket FROM hourly GROUP BY bucket ORDER BY bucket LIMIT 1 OFFSET 1)";

#[test]
fn a_planted_corruption_is_found_told_and_mended_and_no_other_row_is_touched() {
    let corruptions = [
        (
            "a wrong sum",
            format!("UPDATE hourly SET tokens = 99 WHERE model = 'large' AND bucket = {MIDDLE}"),
            "tokens is 99, expected 20",
        ),
        ("a missing bucket", format!("DELETE FROM hourly WHERE bucket = {MIDDLE}"), "missing "),
    ];
    for months in Months::both("") {
        seeded(&months);
        for (what, plant, told) in &corruptions {
            let middle = months.one(&format!("SELECT {MIDDLE}"));
            let others = |months: &Months| {
                let mut rows = months.target();
                rows.retain(|row| row[2].as_ref() != Some(&middle));
                rows
            };
            months.sql(plant);
            let (before, values) = (others(&months), months.tokens());
            assert_eq!(before.len(), 4, "{what}");
            let text = months.call(&["verify", "usage"], 4);
            assert!(text.contains(told), "{what}: {text}");
            assert!(text.contains("next: `highwater verify usage --repair` mends exactly these"), "{what}: {text}");
            assert_eq!(months.tokens(), values, "{what}: verify changes nothing");
            let text = months.call(&["verify", "usage", "--repair", "--why", what], 0);
            assert!(text.contains("cells computed anew; now 6 cells, 0 wrong"), "{what}: {text}");
            assert_eq!(others(&months), before, "{what}: no other row is touched");
            assert_eq!(months.tokens(), sorted(&months, &["3", "30", "2", "20", "1", "10"]), "{what}");
            assert!(repair_event(&months).ends_with(&format!(": {what}")), "{what}");
        }
    }
}

/// Of one bucket NULL is first in SQLite and last in PostgreSQL.
fn sorted(months: &Months, of_sqlite: &[&str]) -> Vec<String> {
    let pairs = of_sqlite.chunks(2);
    pairs
        .flat_map(|pair| if months.is_postgres() { [pair[1], pair[0]] } else { [pair[0], pair[1]] })
        .map(str::to_owned)
        .collect()
}

/// Why the last repair was made; and that it says who and when.
fn repair_event(months: &Months) -> String {
    let events = months.call(&["--json", "events", "--job", "usage"], 0);
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event =
        events.iter().rfind(|event| event.to_string().contains("\"repair\"")).unwrap_or_else(|| panic!("{events:?}"));
    assert!(event["who"].as_str().is_some_and(|who| !who.is_empty()), "{event}");
    assert!(event["at"].as_str().is_some_and(|at| at.starts_with("20")), "{event}");
    event["why"].as_str().unwrap().to_owned()
}

#[test]
fn an_extra_bucket_is_found_and_stays_until_a_person_says_remove() {
    for months in Months::both("") {
        seeded(&months);
        months.sql("INSERT INTO hourly (bucket, model, tokens, calls) VALUES ('2020-01-01T00:00:00Z', 'old', 5, 1)");
        let before = months.target();
        let text = months.call(&["verify", "usage"], 4);
        assert!(text.contains("extra      2020-01-01") && text.contains("no raw row yields it"), "{text}");
        assert!(text.contains("mends exactly these; what no raw row yields stays, unless `--remove`"), "{text}");
        let text = months.call(&["verify", "usage", "--repair"], 4);
        assert!(text.contains("`highwater verify usage --repair --remove` removes them"), "{text}");
        assert_eq!(months.target(), before);
        months.call(&["verify", "usage", "--repair", "--remove"], 0);
        assert_eq!(months.target(), before[1..], "and no other row is touched");
        months.call(&["verify", "usage"], 0);
    }
}

#[test]
fn r07_a_stranded_change_and_a_watermark_that_is_ahead_are_found_and_mended() {
    for months in Months::both("") {
        seeded(&months);
        let no = if months.is_postgres() { "false" } else { "0" };
        months.sql(&format!(
            "INSERT INTO hourly_dirty_source (present, m0, changed_at) VALUES ({no}, 2, '2020-01-01T00:00:00.000Z')"
        ));
        let before = months.target();
        let text = months.call(&["verify", "usage"], 4);
        assert!(text.contains("0 wrong, 1 queued changes stranded below the watermark"), "{text}");
        months.call(&["verify", "usage", "--repair"], 0);
        let differing = months.target().iter().filter(|row| !before.contains(row)).count();
        assert!(differing <= 1, "only the cell of what was queued is computed anew");
        assert_eq!(months.one("SELECT count(*) FROM hourly_dirty_source"), "0");

        let before = months.target();
        months.sql("UPDATE hourly_state SET watermark = '2999-01-01T00:00:00.000000Z'");
        let text = months.call(&["verify", "usage"], 4);
        assert!(text.contains("the watermark is ahead of what can be known, at 2999-01-01T00:00:00Z"), "{text}");
        months.call(&["verify", "usage", "--repair"], 0);
        assert!(repair_event(&months).contains("the watermark moved back to the bound"));
        assert!(months.one("SELECT watermark FROM hourly_state").as_str() < "2999");
        assert_eq!(months.target(), before);
        months.call(&["verify", "usage"], 0);
    }
}

#[test]
fn a_cell_that_is_there_twice_and_a_state_row_that_is_not_are_told() {
    for months in Months::both("") {
        seeded(&months);
        if months.is_postgres() {
            months.sql(&format!("INSERT INTO hourly SELECT * FROM hourly WHERE model = 'large' AND bucket = {MIDDLE}"));
            let text = months.call(&["verify", "usage"], 4);
            assert!(text.contains("large: it is there 2 times"), "{text}");
            months.call(&["verify", "usage", "--repair"], 0);
        }
        months.sql("DELETE FROM hourly_state");
        let text = months.call(&["verify", "usage"], 4);
        assert!(text.contains("0 wrong, and the state row is missing: nobody knows how far it is"), "{text}");
        assert!(text.contains("next: `highwater rollup guard usage` tells the statement that puts it back"), "{text}");
    }
}

#[test]
fn verify_since_a_time_compares_and_repairs_only_from_then_on() {
    for months in Months::both("") {
        seeded(&months);
        months.sql("UPDATE hourly SET tokens = 99 WHERE model = 'large'");
        let day = jiff::Timestamp::from_second(months.hour() - 40 * 3600).unwrap().to_string();
        let text = months.call(&["verify", "usage", "--since", &day], 4);
        assert!(text.starts_with("usage: 4 cells, 2 wrong"), "{text}");
        let oldest = months.target()[..2].to_vec();
        let text = months.call(&["verify", "usage", "--since", &day, "--repair"], 0);
        assert!(text.contains("repaired: 2 cells computed anew; now 4 cells, 0 wrong"), "{text}");
        assert_eq!(months.target()[..2], oldest[..], "what is older stays as it is");
        let text = months.call(&["verify", "usage"], 4);
        assert!(text.starts_with("usage: 6 cells, 1 wrong"), "{text}");
    }
}

#[test]
fn a_sample_is_drawn_again_by_its_seed_and_repairs_only_what_it_drew() {
    for months in Months::both("") {
        for hour in 0..40 {
            months.usage(hour, hour * 3, "'large'", 10);
        }
        months.seed();
        months.sql("UPDATE hourly SET tokens = 99");
        let told = |args: &[&str]| -> Value {
            let args: Vec<&str> = ["--json", "verify", "usage"].iter().chain(args).copied().collect();
            serde_json::from_str(months.rig.run(&args).stdout.trim()).unwrap()
        };
        let some = told(&["--sample", "5"]);
        assert_eq!(
            (&some["cells"], &some["wrong"], &some["sample"]["buckets"]),
            (&5.into(), &5.into(), &5.into()),
            "{some}"
        );
        let seed = some["sample"]["seed"].to_string();
        assert_eq!(told(&["--sample", "5", "--seed", &seed])["findings"], some["findings"], "the same");
        let others = (0..9).map(|seed| told(&["--sample", "5", "--seed", &seed.to_string()])["findings"].to_string());
        assert!(others.collect::<std::collections::BTreeSet<_>>().len() > 1, "and another seed draws others");
        let text = months.call(&["verify", "usage", "--sample", "5", "--seed", &seed, "--repair"], 0);
        assert!(text.contains(&format!("5 wrong, in 5 buckets drawn by `--seed {seed}`")), "{text}");
        assert_eq!(told(&[])["wrong"], 35, "only what was drawn is mended");
        assert_eq!(told(&["--sample", "1000"])["wrong"], 35, "a sample of more than there is takes all");
    }
}

#[test]
fn r15_a_sum_that_sqlite_cannot_add_halts_with_the_column_and_what_helps() {
    let months = Months::sqlite("");
    months.usage(1, 2, "'large'", i64::MAX);
    months.usage(2, 2, "'large'", 1);
    months.rig.ok(&["rollup", "install", "usage"]);
    months.call(&["run", "usage"], 4);
    let status = months.call(&["status", "usage"], 0);
    let says =
        "the sum `tokens` (of source.tokens) of hourly is beyond 64 bits, and SQLite adds whole numbers no further";
    assert!(status.contains(says), "{status}");
    let verify = months.call(&["verify", "usage"], 2);
    assert!(verify.contains("error[HW-ROL-013]") && verify.contains(says), "{verify}");
}

#[test]
fn rows_whose_time_no_bucket_has_are_counted_by_the_seed_and_by_verify() {
    let months = Months::postgres("");
    months.usage(1, 2, "'large'", 1);
    months.sql("INSERT INTO usage VALUES (2, '10000-01-01', 'large', 2), (3, '0044-03-15 BC', 'large', 3)");
    months.rig.ok(&["rollup", "install", "usage"]);
    let ended = months.pass(0);
    let says = "2 rows of usage are in no bucket: their `at` is infinite, of a year before 1 or after 9999, or no time";
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains(says), "{ended:?}");
    assert_eq!(months.tokens(), ["1"]);
    let verify = months.call(&["verify", "usage"], 0);
    assert!(verify.starts_with("usage: 1 cells, 0 wrong, 2 rows with a time that is in no bucket"), "{verify}");
}
