//! Buckets on the days on which clocks change, and in zones that are not whole hours off.

use std::time::Duration;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn grain(text: &str) -> Grain {
    Grain::try_from(text.to_owned()).unwrap()
}

fn days(from: &str, to: &str) -> Span {
    Span { since: Some(When::Day(from.parse().unwrap())), until: Some(When::Day(to.parse().unwrap())), last: None }
}

fn of(span: &Span, step: Step, zone_name: &str, grain_text: &str) -> Result<Buckets, Refused> {
    Buckets::of(span, Some(step), &zone(zone_name), grain(grain_text), at("2026-11-21T10:20:00Z"), POINTS_MAX)
}

fn hours(buckets: &Buckets) -> Vec<i64> {
    buckets.edges().windows(2).map(|pair| pair[1].duration_since(pair[0]).as_hours()).collect()
}

#[test]
fn the_zones_come_with_the_program() {
    let bundled = jiff::tz::TimeZoneDatabase::bundled();
    for name in ["Europe/Berlin", "Asia/Kolkata", "Pacific/Chatham"] {
        assert!(bundled.get(name).is_ok(), "{name}");
    }
}

#[test]
fn a_day_on_which_clocks_change_has_23_or_25_hours() {
    let spring = of(&days("2026-03-28", "2026-03-31"), Step::Day, "Europe/Berlin", "hour").unwrap();
    assert_eq!(hours(&spring), [24, 23, 24]);
    let autumn = of(&days("2026-10-24", "2026-10-27"), Step::Day, "Europe/Berlin", "hour").unwrap();
    assert_eq!(hours(&autumn), [24, 25, 24]);
    assert_eq!(autumn.since(), at("2026-10-23T22:00:00Z"));
    assert!(!autumn.straddle());
    let weeks = of(&days("2026-03-25", "2026-04-01"), Step::Week, "Europe/Berlin", "hour").unwrap();
    assert_eq!(hours(&weeks), [7 * 24 - 1, 7 * 24]);
    assert_eq!(weeks.local(weeks.since()).date(), "2026-03-23".parse().unwrap());
    let months = of(&days("2026-03-25", "2026-04-01"), Step::Month, "Europe/Berlin", "hour").unwrap();
    assert_eq!(hours(&months), [31 * 24 - 1]);
}

#[test]
fn a_day_that_a_zone_skips_is_no_bucket() {
    let samoa = of(&days("2011-12-28", "2012-01-02"), Step::Day, "Pacific/Apia", "hour").unwrap();
    assert_eq!(hours(&samoa), [24, 24, 24, 24]);
    // Midnight itself is skipped here: the day begins at one.
    let beirut = of(&days("2026-03-28", "2026-03-31"), Step::Day, "Asia/Beirut", "hour").unwrap();
    assert_eq!(hours(&beirut), [24, 23, 24]);
}

#[test]
fn cells_of_an_hour_straddle_days_that_begin_within_one_and_it_is_known() {
    for name in ["Asia/Kolkata", "Pacific/Chatham"] {
        let span = days("2026-04-03", "2026-04-07");
        let hourly = of(&span, Step::Day, name, "hour").unwrap();
        assert!(hourly.straddle() && !hourly.are_the_targets(), "{name}");
        let fine = of(&span, Step::Day, name, "15 minutes").unwrap();
        assert!(!fine.straddle(), "{name}");
        assert_eq!(hours(&fine), if name == "Asia/Kolkata" { [24, 24, 24, 24] } else { [24, 24, 25, 24] }, "{name}");
        // What is longer than an hour is not told where it does not belong.
        for longer in ["120 minutes", "day"] {
            assert!(matches!(of(&span, Step::Day, name, longer), Err(Refused::Straddles { .. })), "{name} {longer}");
        }
    }
}

#[test]
fn hours_of_a_zone_that_is_half_an_hour_off_are_the_targets_own_where_that_has_no_finer_ones() {
    let span = days("2026-04-03", "2026-04-04");
    let hourly = of(&span, Step::Hour, "Asia/Kolkata", "hour").unwrap();
    assert_eq!(hourly.since(), at("2026-04-02T18:00:00Z"));
    assert!(hourly.are_the_targets());
    let fine = of(&span, Step::Hour, "Asia/Kolkata", "15 minutes").unwrap();
    assert_eq!(fine.since(), at("2026-04-02T18:30:00Z"));
    assert!(!fine.straddle() && !fine.are_the_targets());
    assert!(of(&span, Step::Grain, "Asia/Kolkata", "15 minutes").unwrap().are_the_targets());
}

#[test]
fn days_can_be_shown_in_utc_alone_and_in_zones_that_agree_with_it() {
    let span = days("2026-01-01", "2026-01-04");
    let told = of(&span, Step::Day, "Europe/Berlin", "day").unwrap_err().to_string();
    assert_eq!(
        told,
        "the rollup's grain is a day, in UTC, and a day of Europe/Berlin begins within such a bucket: nobody can tell how much \
         of it is before"
    );
    assert!(of(&span, Step::Day, "Europe/London", "day").unwrap().are_the_targets());
    assert!(of(&span, Step::Day, "UTC", "day").unwrap().are_the_targets());
    assert!(of(&days("2026-06-01", "2026-06-04"), Step::Day, "Europe/London", "day").is_err());
    let told = of(&span, Step::Hour, "UTC", "day").unwrap_err().to_string();
    assert_eq!(told, "found buckets of an hour, and the rollup's grain is a day: expected buckets that are no shorter");
}

#[test]
fn a_span_of_so_many_days_has_so_many_and_the_last_is_today() {
    let last = |days: u64| Span { last: Some(Duration::from_secs(days * 86_400)), ..Span::default() };
    let buckets = of(&last(30), Step::Day, "Europe/Berlin", "hour").unwrap();
    assert_eq!((buckets.count(), buckets.until()), (30, at("2026-11-21T23:00:00Z")));
    assert_eq!(buckets.days(), ("2026-10-23".parse().unwrap(), "2026-11-21".parse().unwrap()));
    let hours = of(&last(1), Step::Hour, "UTC", "hour").unwrap();
    assert_eq!((hours.count(), hours.until()), (24, at("2026-11-21T11:00:00Z")));
    let default =
        Buckets::of(&Span::default(), None, &TimeZone::UTC, Grain::HOUR, at("2026-11-21T10:20:00Z"), POINTS_MAX);
    assert_eq!(default.unwrap().count(), 30);
    for (days, step) in
        [(1, Step::Hour), (2, Step::Hour), (3, Step::Day), (92, Step::Day), (93, Step::Week), (800, Step::Month)]
    {
        let now = at("2026-11-21T10:20:00Z");
        let fitted = Buckets::of(&last(days), None, &TimeZone::UTC, Grain::HOUR, now, POINTS_MAX).unwrap();
        assert_eq!(fitted.step(), step, "{days}");
        let fitted = Buckets::of(&last(days), None, &TimeZone::UTC, Grain::DAY, now, POINTS_MAX).unwrap();
        assert_ne!(fitted.step(), Step::Hour, "{days}");
    }
}

#[test]
fn only_what_ends_at_the_watermark_or_before_is_complete() {
    let buckets = of(&days("2026-11-19", "2026-11-22"), Step::Day, "UTC", "hour").unwrap();
    let complete = |watermark: &str| buckets.complete(Some(at(watermark)));
    assert_eq!(buckets.complete(None), 0);
    assert_eq!(complete("2026-11-19T23:59:59Z"), 0);
    assert_eq!(complete("2026-11-20T00:00:00Z"), 1);
    assert_eq!(complete("2030-01-01T00:00:00Z"), 3);
}

#[test]
fn too_many_buckets_and_a_window_without_time_are_refused() {
    let told = of(&days("2020-01-01", "2026-01-01"), Step::Hour, "UTC", "hour").unwrap_err().to_string();
    assert_eq!(told, "found more than 1000 buckets of an hour, expected at most 1000");
    let exactly = Span {
        since: Some(When::At(at("2026-01-01T00:00:00Z"))),
        until: Some(When::At(at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(1_000))),
        last: None,
    };
    assert_eq!(of(&exactly, Step::Hour, "UTC", "hour").unwrap().count(), POINTS_MAX);
    assert!(matches!(of(&days("2026-01-02", "2026-01-02"), Step::Day, "UTC", "hour"), Err(Refused::NoTime { .. })));
    let backwards = of(&days("2026-01-05", "2026-01-02"), Step::Day, "UTC", "hour").unwrap_err().to_string();
    assert_eq!(
        backwards,
        "the window from 2026-01-05T00:00:00Z ends at 2026-01-02T00:00:00Z, expected an end that is later"
    );
    let ever = of(&days("-009999-01-01", "9999-12-31"), Step::Month, "Asia/Tokyo", "hour");
    assert!(matches!(ever, Err(Refused::TooMany { .. })), "{ever:?}");
}

#[test]
fn any_step_of_any_zone_meets_and_covers_its_span() {
    let steps = [Step::Grain, Step::Hour, Step::Day, Step::Week, Step::Month];
    for name in ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Chatham", "Australia/Lord_Howe", "America/Havana"] {
        for (step, month) in steps.into_iter().flat_map(|step| (1..=12).map(move |month| (step, month))) {
            let since = at(&format!("2026-{month:02}-03T05:17:11Z"));
            let until = since + SignedDuration::from_hours(40 * 24);
            let span = Span { since: Some(When::At(since)), until: Some(When::At(until)), last: None };
            let buckets = of(&span, step, name, "hour").unwrap();
            assert!(buckets.since() <= since && until <= buckets.until(), "{name} {step} {month}");
            assert!(buckets.edges().is_sorted_by(|left, right| left < right), "{name} {step} {month}");
            assert!(buckets.edges()[1] > since, "{name} {step} {month}: no bucket before the span");
            assert!(buckets.edges()[buckets.count() - 1] < until, "{name} {step} {month}: and none after it");
        }
    }
}
