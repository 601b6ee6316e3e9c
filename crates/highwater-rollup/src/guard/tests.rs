//! What is complete, by the figures alone.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn figures(watermark: &str, newest: &str) -> Figures {
    let now = at("2026-03-01T12:00:00Z");
    Figures { watermark: at(watermark), newest: Some(at(newest)), ahead: None, queued: None, now }
}

const HOUR: Duration = Duration::from_secs(THRESHOLD_SECS);

#[test]
fn complete_is_what_trails_by_no_more_than_the_threshold() {
    let on_it = figures("2026-03-01T10:30:00Z", "2026-03-01T11:30:00Z");
    assert_eq!(judged(on_it, HOUR), Answer::Complete(on_it));
    let past_it = figures("2026-03-01T10:29:59Z", "2026-03-01T11:30:00Z");
    assert_eq!(judged(past_it, HOUR), Answer::Behind { figures: past_it, by: SignedDuration::from_secs(3601) });
    let idle = figures("2026-03-01T11:55:00Z", "2024-03-01T11:30:00Z");
    assert!(judged(idle, HOUR).is_complete());
}

#[test]
fn a_change_that_waits_longer_than_the_threshold_is_not_complete_however_old_its_event_is() {
    let queued = Some(at("2026-03-01T10:00:00Z"));
    let waiting = Figures { queued, ..figures("2026-03-01T11:55:00Z", "2024-03-01T11:30:00Z") };
    assert_eq!(judged(waiting, HOUR), Answer::Behind { figures: waiting, by: SignedDuration::from_hours(2) });
}

#[test]
fn r07_a_watermark_later_than_the_clock_proves_nothing() {
    let later = figures("2027-01-01T00:00:00Z", "2026-03-01T11:30:00Z");
    assert_eq!(judged(later, HOUR), Answer::Ahead(later));
    let skewed = figures("2026-03-01T12:00:01Z", "2026-03-01T11:30:00Z");
    assert!(judged(skewed, HOUR).is_complete(), "clocks of two hosts differ by seconds");
}
