//! `--force-partial`: a seed that a person lets begin later than the first event. Nothing calls it complete before the rest is
//! seeded, which the next plain run does.

use super::Months;

const DAY: i64 = 24;

/// Rows of four ages, the third of them in the last month.
fn aged(months: &Months) {
    for (id, days) in [(1, 400), (2, 200), (3, 20), (4, 1)] {
        months.usage(id, days * DAY, "'large'", id);
    }
    months.rig.ok(&["rollup", "install", "usage"]);
}

fn ago(months: &Months, days: i64) -> String {
    jiff::Timestamp::from_second(months.hour() - days * DAY * 3600).unwrap().to_string()
}

#[test]
fn r07_a_seed_in_part_is_never_complete_and_the_next_run_seeds_the_rest() {
    for more in ["", "freeze-before = \"90 days\""] {
        for months in Months::both(more) {
            aged(&months);
            let (thirty, three_hundred, ten) = (ago(&months, 30), ago(&months, 300), ago(&months, 10));
            let refused = months.call(&["run", "usage", "--since", &thirty], 2);
            assert!(refused.contains("HW-ROL-011") && refused.contains("--force-partial"), "{refused}");
            let text = months.call(&["run", "usage", "--since", &thirty, "--force-partial"], 0);
            let note = format!("the buckets before {thirty} are still without their events");
            assert!(text.contains(&note) && text.contains("`highwater run usage` seeds them"), "{text}");
            assert_eq!(months.tokens(), ["3", "4"]);

            let first = ago(&months, 400);
            let guard = months.call(&["rollup", "guard", "usage"], 4);
            let says = format!("usage: seeded in part: from {thirty} on, and the earliest event is of {first};");
            assert!(guard.starts_with(&says), "{guard}");
            assert!(guard.contains("next: `highwater run usage` seeds the rest"), "{guard}");
            let verify = months.call(&["verify", "usage"], 4);
            let says = format!("the buckets before {thirty} were never seeded: the earliest event is of {first}");
            assert!(
                verify.contains(&says) && verify.contains("next: `highwater run usage` seeds what never was"),
                "{verify}"
            );
            let shown = months.call(&["rollup", "show", "usage", "--last", "90d"], 0);
            assert!(shown.contains("seeded in part"), "{shown}");
            // What is asked for from there on is as it should be.
            months.call(&["verify", "usage", "--since", &thirty], 0);
            // A tick goes on, and changes nothing of that; nor does a repair seed years by its way.
            months.usage(5, 2 * DAY, "'large'", 5);
            months.call(&["verify", "usage", "--repair"], 4);
            months.call(&["run", "usage", "--tick"], 0);
            months.call(&["rollup", "guard", "usage"], 4);

            // A later one takes nothing back, an earlier one reaches further, and needs the word again.
            months.call(&["run", "usage", "--since", &ten], 0);
            assert!(months.call(&["rollup", "guard", "usage"], 4).contains(&thirty));
            months.call(&["run", "usage", "--since", &three_hundred], 2);
            months.call(&["run", "usage", "--since", &three_hundred, "--force-partial"], 0);
            assert!(months.call(&["rollup", "guard", "usage"], 4).contains(&format!("from {three_hundred} on")));

            months.pass(0);
            assert_eq!(months.tokens(), ["1", "2", "3", "5", "4"]);
            months.call(&["rollup", "guard", "usage"], 0);
            months.call(&["verify", "usage"], 0);
            let ended = months.pass(0);
            assert!(ended.stdout.contains("1 of 1 terminal"), "ticks from now on: {ended:?}");
        }
    }
}

#[test]
fn what_is_frozen_stays_and_what_was_never_seeded_is_not_frozen() {
    for months in Months::both("freeze-before = \"90 days\"") {
        aged(&months);
        months.call(&["run", "usage", "--since", &ago(&months, 300), "--force-partial"], 0);
        months.pass(0);
        assert_eq!(months.tokens(), ["1", "2", "3", "4"], "the rest was older than what freezes");
        let again = Months::both("freeze-before = \"90 days\"").remove(usize::from(months.is_postgres()));
        aged(&again);
        again.call(&["run", "usage", "--since", &ago(&again, 300), "--force-partial"], 0);
        // Retention: what is frozen is all there is left of it.
        again.sql("DELETE FROM usage WHERE id = 2");
        again.call(&["run", "usage", "--tick"], 0);
        again.pass(0);
        assert_eq!(again.tokens(), ["1", "2", "3", "4"]);
        again.call(&["rollup", "guard", "usage"], 0);
        // A state row that is put back by hand says what is frozen, and nothing of what is between that and a partial seed.
        let mend = format!(
            "DELETE FROM hourly_state; INSERT INTO hourly_state (one, frozen_before) VALUES (1, '{}')",
            ago(&again, 90)
        );
        again.sql(&mend);
        let refused = again.call(&["run", "usage", "--since", &ago(&again, 10), "--force-partial"], 2);
        assert!(refused.contains("HW-ROL-011") && refused.contains("between those that are frozen"), "{refused}");
        again.pass(0);
        assert_eq!(again.tokens(), ["1", "2", "3", "4"]);
        again.call(&["rollup", "guard", "usage"], 0);
    }
}

#[test]
fn a_rollup_of_an_older_version_gets_what_its_state_lacks_by_its_next_run() {
    for months in Months::both("") {
        aged(&months);
        months.pass(0);
        months.sql("ALTER TABLE hourly_state DROP COLUMN seeded_from");
        let diff = months.call(&["rollup", "diff", "usage"], 4);
        assert!(diff.contains("hourly_state has no column seeded_from"), "{diff}");
        months.call(&["run", "usage", "--dry-run"], 3);
        months.call(&["rollup", "diff", "usage"], 4);
        months.pass(0);
        months.call(&["rollup", "diff", "usage"], 0);
        months.call(&["rollup", "guard", "usage"], 0);
        months.sql("ALTER TABLE hourly_state DROP COLUMN seeded_from");
        assert!(months.call(&["doctor"], 2).contains("`highwater rollup install usage`"));
        let told = months.call(&["rollup", "install", "usage"], 0);
        assert!(told.contains("hourly_state was of an older version"), "{told}");
        months.call(&["rollup", "diff", "usage"], 0);
    }
}

#[test]
fn a_change_of_a_rollup_that_is_seeded_in_part_hides_nothing() {
    for months in Months::both("freeze-before = \"90 days\"") {
        aged(&months);
        months.call(&["run", "usage", "--since", &ago(&months, 300), "--force-partial"], 0);
        months.configure("calls = \"count\"", "calls = \"count\", largest = { max = \"tokens\" }");
        months.configure("freeze-before = \"90 days\"", "freeze-before = \"100 days\"");
        months.call(&["rollup", "change", "usage", "--drop-frozen"], 0);
        months.call(&["rollup", "guard", "usage"], 4);
        months.pass(0);
        months.call(&["rollup", "guard", "usage"], 0);
        let tokens = months.tokens();
        assert_eq!((tokens.first().map(String::as_str), tokens.last().map(String::as_str)), (Some("1"), Some("4")));
    }
}
