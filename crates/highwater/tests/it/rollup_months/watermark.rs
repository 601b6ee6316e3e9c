//! A watermark that is not there, and one that is later than the database's clock: what each command says of it, and what mends it.

use super::Months;

fn seeded() -> Vec<Months> {
    let both = Months::both("");
    for months in &both {
        months.usage(1, 48, "'large'", 1);
        months.seed();
    }
    both
}

#[test]
fn r07_a_watermark_that_was_taken_away_is_told_until_a_run_has_taken_what_waits() {
    for months in seeded() {
        months.sql("UPDATE hourly_state SET watermark = NULL");
        let guard = months.call(&["rollup", "guard", "usage"], 4);
        assert!(guard.contains("not proved: it was seeded at 20") && guard.contains("has no watermark"), "{guard}");
        assert!(guard.contains("next: `highwater run usage` takes what waits and stamps one"), "{guard}");
        let verify = months.call(&["verify", "usage"], 4);
        assert!(verify.contains("it has no watermark, though it was seeded at 20"), "{verify}");
        assert!(verify.contains("next: `highwater run usage` takes what waits and stamps one"), "{verify}");
        months.usage(2, 24, "'large'", 2);
        let ended = months.pass(0);
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(text.contains("there was no watermark: all that waited is taken, and one is stamped"), "{text}");
        assert_eq!(months.tokens(), ["1", "2"]);
        months.call(&["rollup", "guard", "usage"], 0);
        months.call(&["verify", "usage"], 0);
    }
}

#[test]
fn r07_a_watermark_later_than_the_clock_is_told_by_each_tick_and_halts_where_it_is_far_ahead() {
    for months in seeded() {
        let ahead = |minutes: i64| {
            let at = jiff::Timestamp::from_second(months.hour() + 3600 + minutes * 60).unwrap();
            months.sql(&format!("UPDATE hourly_state SET watermark = '{at:.6}'"));
        };
        ahead(0);
        let text = months.call(&["run", "usage", "--tick"], 0);
        assert!(text.contains("later than the database's clock, which is at 20"), "{text}");
        assert!(text.contains("it proves nothing, and stays there until the clock has passed it"), "{text}");
        ahead(120);
        months.call(&["run", "usage", "--tick"], 4);
        let status = months.call(&["status", "usage"], 0);
        assert!(status.contains("highwater verify usage --repair"), "{status}");
        let guard = months.call(&["rollup", "guard", "usage"], 4);
        assert!(guard.contains("next: `highwater verify usage --repair` moves it back"), "{guard}");
        months.call(&["verify", "usage"], 4);
        months.call(&["verify", "usage", "--repair"], 0);
        months.call(&["rearm", "usage", "--why", "moved back"], 0);
        months.pass(0);
        months.call(&["rollup", "guard", "usage"], 0);
        months.call(&["verify", "usage"], 0);
    }
}
