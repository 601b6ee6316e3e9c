//! `freeze-before`: retention deletes old raw rows, and nothing of the rollup is lost.

use super::Months;

const DAY: i64 = 24;

#[test]
fn raw_rows_older_than_freeze_before_are_deleted_and_nothing_of_the_rollup_is_lost() {
    for months in Months::both("freeze-before = \"90 days\"") {
        for (id, days) in [(1, 400), (2, 200), (3, 100), (4, 20), (5, 1)] {
            months.usage(id, days * DAY, "'large'", id);
        }
        months.seed();
        months.pass(0);
        assert_eq!(months.tokens(), ["1", "2", "3", "4", "5"]);
        months.sql("DELETE FROM usage WHERE id <= 3");
        months.pass(0);
        let before = months.target();
        assert_eq!(before.len(), 5);
        let text = months.call(&["verify", "usage"], 0);
        assert!(text.starts_with("usage: 2 cells, 0 wrong, 3 frozen before 20"), "{text}");
        months.call(&["verify", "usage", "--repair", "--remove"], 0);
        months.call(&["verify", "usage", "--since", "2000-01-01", "--sample", "10"], 0);
        // A seed of everything by hand, too, and a wrong cell among the live.
        months.sql("UPDATE hourly SET tokens = 9 WHERE tokens = 4");
        months.call(&["verify", "usage", "--repair", "--remove"], 0);
        let ended = months.rig.run(&["run", "usage", "--since", "2000-01-01"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(months.target()[..3], before[..3], "no frozen row is touched");
        assert_eq!(months.tokens(), ["1", "2", "3", "4", "5"]);
        months.call(&["rollup", "guard", "usage"], 0);
        // What comes late is told of, not hidden.
        months.usage(6, 300 * DAY, "'large'", 6);
        let ended = months.pass(0);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(text.contains("1 rows came or changed in frozen buckets"), "{text}");
        assert_eq!(months.tokens(), ["1", "2", "3", "4", "5"]);
        // And without the setting, all of it stays.
        let config = months.rig.read("highwater.toml").replace("freeze-before = \"90 days\"", "");
        months.rig.write("highwater.toml", &config);
        months.pass(0);
        months.call(&["verify", "usage", "--repair", "--remove"], 0);
        assert_eq!(months.target()[..3], before[..3]);
    }
}

#[test]
fn r15_a_freeze_before_that_is_too_short_is_refused_with_its_line() {
    let months = Months::sqlite("freeze-before = \"90 min\"");
    let text = months.call(&["run", "usage"], 2);
    assert!(text.contains("freeze-before") && text.contains("expected at least 1 day"), "{text}");
}
