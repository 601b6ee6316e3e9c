//! Ticks: how far the watermark goes, and that it stays where a tick was cut off.

use highwater_db::session::{Dialect, Session};
use highwater_rollup::state;
use highwater_rollup::tick::{Reach, TickError, tick};
use jiff::{SignedDuration, Timestamp};

use crate::between::{Act, Between};
use crate::usage::{
    Base, bound, declaration, differences, install, later, run, seeded, stranded, tick_all, tick_to, watermark,
};

const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

fn reach(until: Timestamp) -> Reach {
    Reach { until, span_max: None, entries_max: 1, transactions_max: 10_000 }
}

/// Three entries and more, in transactions of their own.
async fn change(ours: &mut dyn Session) {
    for id in 1..=3 {
        run(ours, &format!("UPDATE task_usage SET tokens = tokens + 1 WHERE id = {id}")).await;
    }
}

#[tokio::test]
async fn r07_a_tick_takes_as_many_transactions_as_it_needs_and_stamps_by_the_last() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        change(&mut *ours).await;
        later(&mut *ours).await;
        let until = bound(&mut *ours).await;
        let ticked = tick(&mut *ours, &declaration(), reach(until)).await.unwrap();
        assert_eq!((ticked.entries, ticked.more), (9, false), "{dialect:?}: old, without and new of each");
        assert!(ticked.transactions > 9, "{dialect:?}: {ticked:?}");
        assert_eq!(watermark(&mut *ours).await, ticked.watermark, "{dialect:?}");
        assert_eq!(differences(&mut *ours).await, Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_a_tick_that_is_cut_off_anywhere_stamps_nothing_and_the_next_goes_on() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let before = bound(&mut *ours).await;
        tick_to(&mut *ours, before).await;
        let begun = watermark(&mut *ours).await;
        change(&mut *ours).await;
        later(&mut *ours).await;
        let until = bound(&mut *ours).await;
        // The stamp is by the last of ten transactions, so that the tenth commit is the last place to be cut off.
        for (before, skip) in [("BEGIN", 0), ("BEGIN", 2), ("COMMIT", 1), ("DELETE FROM \"task_usage_hourly_dirty", 0)]
        {
            let mut cut = Between::new(&mut *ours, before, skip, Act::Cut);
            assert!(tick(&mut cut, &declaration(), reach(until)).await.is_err(), "{dialect:?}");
            assert_eq!(watermark(&mut *ours).await, begun, "{dialect:?}: before {before}, {skip}");
        }
        let all = Reach { entries_max: 100, ..reach(until) };
        for before in ["UPDATE \"task_usage_hourly_state", "COMMIT"] {
            let mut cut = Between::new(&mut *ours, before, 0, Act::Cut);
            assert!(tick(&mut cut, &declaration(), all).await.is_err(), "{dialect:?}");
            assert_eq!(watermark(&mut *ours).await, begun, "{dialect:?}: before {before}");
        }
        tick_to(&mut *ours, until).await;
        assert!(watermark(&mut *ours).await > begun, "{dialect:?}");
        assert_eq!(differences(&mut *ours).await, Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_tick_moves_the_watermark_by_no_more_than_its_span_and_never_back() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let first = bound(&mut *ours).await - SignedDuration::from_hours(72);
        tick_to(&mut *ours, first).await;
        let day = Reach { span_max: Some(std::time::Duration::from_secs(86_400)), ..reach(bound(&mut *ours).await) };
        let mut days = 0;
        loop {
            let ticked = tick(&mut *ours, &declaration(), day).await.unwrap();
            days += 1;
            if !ticked.more {
                break;
            }
            let expected = watermark(&mut *ours).await.unwrap().duration_since(first);
            assert_eq!(expected, SignedDuration::from_hours(24 * days), "{dialect:?}");
        }
        assert_eq!(days, 4, "{dialect:?}: three whole ones and what the test took");
        let reached = watermark(&mut *ours).await;
        tick_to(&mut *ours, first).await;
        assert_eq!(watermark(&mut *ours).await, reached, "{dialect:?}: an earlier bound moves nothing");
        ours.begin().await.unwrap();
        state::stamp(&mut *ours, &declaration(), first).await.unwrap();
        ours.commit().await.unwrap();
        assert_eq!(watermark(&mut *ours).await, reached, "{dialect:?}: nor does an earlier stamp");
    }
}

#[tokio::test]
async fn r07_a_watermark_is_stamped_in_the_unit_that_entries_are_dated_in() {
    for (dialect, expected) in [(Dialect::Postgres, ".123457Z"), (Dialect::Sqlite, ".123Z")] {
        let (_base, mut ours) = seeded(dialect).await;
        tick_to(&mut *ours, "2026-01-05T00:00:00.123457999Z".parse().unwrap()).await;
        let expected: Timestamp = format!("2026-01-05T00:00:00{expected}").parse().unwrap();
        assert_eq!(watermark(&mut *ours).await, Some(expected), "{dialect:?}: an entry of this instant is not due");
    }
}

#[tokio::test]
async fn r07_what_is_above_the_bound_is_left_for_the_next_tick() {
    for dialect in BOTH {
        let (_base, mut ours) = seeded(dialect).await;
        let until = bound(&mut *ours).await;
        change(&mut *ours).await;
        assert_eq!(tick_to(&mut *ours, until).await.entries, 0, "{dialect:?}");
        assert!(!differences(&mut *ours).await.is_empty(), "{dialect:?}");
        tick_all(&mut *ours).await;
        assert_eq!((differences(&mut *ours).await, stranded(&mut *ours).await), (Vec::new(), 0), "{dialect:?}");
    }
}

#[tokio::test]
async fn r07_what_is_not_seeded_or_has_no_state_row_gets_no_watermark() {
    for dialect in BOTH {
        let base = Base::new(dialect).await;
        let mut ours = base.session().await;
        install(&mut *ours).await;
        let until = bound(&mut *ours).await;
        let refused = tick(&mut *ours, &declaration(), reach(until)).await.unwrap_err();
        assert!(matches!(refused, TickError::NotSeeded { .. }), "{dialect:?}: {refused}");
        assert_eq!(watermark(&mut *ours).await, None, "{dialect:?}");
        run(&mut *ours, "DELETE FROM task_usage_hourly_state").await;
        let refused = tick(&mut *ours, &declaration(), reach(until)).await.unwrap_err();
        assert!(matches!(refused, TickError::NoState { .. }), "{dialect:?}: {refused}");
    }
}
