//! Drawings are well-formed, hold whatever is put into them, and name no more than fits.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::declare::Declaration;
use crate::show::{Ask, DAYS, HOURS, Heat, Key, Point, Question, Series, Shown, Span, Step, When};

const DECLARATION: &str = r#"
    source = "usage"
    event-time = "at"
    grain = "hour"
    target = "usage_hourly"
    keys = { model = "model" }
    aggregates = { tokens = { sum = "tokens" }, cost = { avg = "cost" }, largest = { max = "tokens" } }
"#;

fn declaration() -> Declaration {
    toml::from_str(DECLARATION).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn question<'d>(declaration: &'d Declaration, value: &str, by: Option<&str>) -> Question<'d> {
    let ask = Ask {
        by: by.map(str::to_owned),
        value: Some(value.to_owned()),
        zone: TimeZone::UTC,
        step: None,
        span: Span::default(),
        top: SERIES_MAX,
    };
    Question::of(declaration, &ask, at("2026-11-21T10:20:00Z")).unwrap()
}

fn buckets(since: &str, until: &str, step: Step, zone: &str) -> Buckets {
    let day = |text: &str| Some(When::Day(text.parse().unwrap()));
    let span = Span { since: day(since), until: day(until), last: None };
    let grain = declaration().grain;
    Buckets::of(&span, Some(step), &TimeZone::get(zone).unwrap(), grain, at(NOW), 1_000).unwrap()
}

const NOW: &str = "2026-11-21T10:20:00Z";

fn standing(watermark: &str) -> Standing {
    Standing {
        watermark: Some(at(watermark)),
        seeded_at: Some(at(watermark)),
        seeded_from: None,
        now: at(NOW),
        extent: None,
    }
}

fn number(text: &str) -> Number {
    Number::read(&highwater_db::session::Value::from(text)).unwrap()
}

/// `-` is nothing known.
fn series(key: Key, points: &str) -> Series {
    let point = |text: &str| (text != "-").then(|| number(text));
    Series { key, total: None, points: points.split_whitespace().map(point).collect() }
}

fn value(text: &str) -> Key {
    Key::Value(text.to_owned())
}

fn shown(buckets: Buckets, complete: usize, series: Vec<Series>) -> Shown {
    assert!(series.iter().all(|series| series.points.len() == buckets.count()));
    Shown { buckets, complete, series, total: None, left_out: 0 }
}

/// The drawing, read as XML: its texts by the element they are in.
fn texts(svg: &str) -> HashMap<String, Vec<String>> {
    let mut reader = Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let mut texts: HashMap<String, Vec<String>> = HashMap::new();
    let mut open = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let name = String::from_utf8_lossy(start.name().as_ref().as_bytes()).into_owned();
                start.attributes().for_each(|attribute| drop(attribute.unwrap()));
                texts.entry(name.clone()).or_default().push(String::new());
                open.push(name);
            }
            Event::End(_) => drop(open.pop()),
            Event::Text(text) => {
                if let Some(name) = open.last() {
                    texts.get_mut(name).unwrap().last_mut().unwrap().push_str(&text);
                }
            }
            Event::GeneralRef(entity) => {
                let name = open.last().unwrap();
                texts.get_mut(name).unwrap().last_mut().unwrap().push_str(&format!("&{};", &*entity));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    texts
}

#[test]
fn a_chart_of_sums_is_stacked() {
    let declaration = declaration();
    let shown = shown(
        buckets("2026-10-24", "2026-10-27", Step::Day, "Europe/Berlin"),
        2,
        vec![series(value("large"), "30 40 5"), series(Key::Null, "10 0 1"), series(Key::Others(2), "1 -2 0.5")],
    );
    let svg = chart(
        "usage: tokens by model",
        &question(&declaration, "tokens", Some("model")),
        &shown,
        &standing("2026-10-26T09:00:00Z"),
    );
    texts(&svg);
    insta::assert_snapshot!("chart_of_sums", svg.replace("><", ">\n<"));
}

#[test]
fn a_chart_of_means_has_lines_and_gaps() {
    let declaration = declaration();
    let shown = shown(
        buckets("2026-11-16", "2026-11-22", Step::Day, "UTC"),
        5,
        vec![series(value("large"), "1.5 2 - 3 3.25 3"), series(value("small"), "- 0.5 - - 0.5 0.25")],
    );
    let svg = chart(
        "usage: cost by model",
        &question(&declaration, "cost", Some("model")),
        &shown,
        &standing("2026-11-21T09:00:00Z"),
    );
    texts(&svg);
    insta::assert_snapshot!("chart_of_means", svg.replace("><", ">\n<"));
}

#[test]
fn text_from_the_database_is_text_in_the_drawing() {
    let declaration = declaration();
    let long = "k".repeat(10_000);
    let hostile =
        ["<script>alert(1)</script>", "a\"b'c&amp;", "two\nlines\u{0}", "\u{1b}[2J\u{ffff}\u{202e}", "]]>", &long, ""];
    let list = hostile.iter().map(|key| series(value(key), "1")).collect();
    let one = shown(buckets("2026-11-20", "2026-11-21", Step::Day, "UTC"), 1, list);
    for name in ["tokens", "cost"] {
        let title = "</text><script>alert(2)</script>";
        let svg = chart(title, &question(&declaration, name, Some("model")), &one, &standing(NOW));
        let texts = texts(&svg);
        assert!(!texts.contains_key("script"), "{:?}", texts.keys());
        assert!(texts["text"].contains(&"&lt;script&gt;alert(1)&lt;/scr…".to_owned()), "{:?}", texts["text"]);
        assert!(texts["text"].contains(&"&quot;&quot;".to_owned()), "{:?}", texts["text"]);
        let unseen = |c: char| c.is_control() && c != '\n' || c == '\u{202e}' || c == '\u{ffff}';
        assert!(!svg.contains(unseen));
        assert!(svg.len() < 20_000, "{}", svg.len());
    }
}

#[test]
fn whatever_the_figures_are_no_coordinate_is_no_number() {
    let declaration = declaration();
    let figures = [
        "0 0 0",
        "-5 -5 -5",
        "1e308 -1e308 1e308",
        "NaN Infinity -Infinity",
        "- - -",
        "1e-300 0 0",
        "- 7 -",
        "99999999999999999999999999999999999999 1 0",
    ];
    for (first, second) in figures.iter().flat_map(|first| figures.iter().map(move |second| (first, second))) {
        for name in ["tokens", "cost"] {
            let days = buckets("2026-11-17", "2026-11-20", Step::Day, "UTC");
            let shown = shown(days, 3, vec![series(value("a"), first), series(value("b"), second)]);
            let svg = chart("odd", &question(&declaration, name, Some("model")), &shown, &standing(NOW));
            texts(&svg);
            // What people are told may be one of these; what is drawn may not.
            let drawn: String = svg.split('<').filter(|element| !element.starts_with("title")).collect();
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{name}: {first} / {second}: {svg}");
            assert!(!drawn.contains("e300") || first.contains("e308") || second.contains("e308"), "{svg}");
        }
    }
}

#[test]
fn an_empty_rollup_says_so_and_one_bucket_is_drawn() {
    let declaration = declaration();
    for (name, drawing) in [("tokens", "<path class=\"s0\""), ("cost", "<circle class=\"s0\"")] {
        let question = question(&declaration, name, None);
        let empty = shown(buckets("2026-11-20", "2026-11-21", Step::Day, "UTC"), 0, Vec::new());
        let unseeded = Standing { seeded_at: None, ..standing(NOW) };
        let said = texts(&chart("usage", &question, &empty, &unseeded));
        assert!(said["text"].contains(&"no cells in this window".to_owned()), "{said:?}");
        assert!(said["text"].contains(&"hatched: not seeded, any bucket may be missing".to_owned()), "{said:?}");
        let days = buckets("2026-11-20", "2026-11-21", Step::Day, "UTC");
        let svg = chart("usage", &question, &shown(days, 1, vec![series(Key::All, "7")]), &standing(NOW));
        assert!(svg.contains(drawing), "{svg}");
        assert!(!svg.contains("url(#"), "nothing is veiled: {svg}");
        assert!(texts(&svg)["title"].iter().any(|says| says.ends_with(&format!("\n{name}: 7"))), "{svg}");
    }
}

#[test]
fn names_of_any_window_are_some_and_do_not_overlap() {
    let windows = [
        ("2026-11-20", "2026-11-21", Step::Hour),
        ("2026-10-24", "2026-10-27", Step::Hour),
        ("2026-10-01", "2026-11-10", Step::Hour),
        ("2026-10-31", "2026-11-30", Step::Day),
        ("2026-11-20", "2026-11-21", Step::Day),
        ("2024-11-20", "2026-11-21", Step::Day),
        ("2026-11-16", "2026-11-23", Step::Week),
        ("2010-11-16", "2026-11-23", Step::Week),
        ("2026-11-01", "2026-12-01", Step::Month),
        ("2025-12-01", "2026-12-01", Step::Month),
        ("1970-01-01", "2040-01-01", Step::Month),
    ];
    for (since, until, step) in windows {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Chatham", "Asia/Beirut"] {
            let buckets = buckets(since, until, step, zone);
            for width in [300.0, 700.0, 900.0] {
                let (ticks, _) = time::ticks(&buckets, width);
                assert!(!ticks.is_empty(), "{since} {until} {step} {zone} {width}");
                let span = buckets.until().duration_since(buckets.since()).as_secs_f64();
                let x = |tick: &time::Tick| tick.at.duration_since(buckets.since()).as_secs_f64() / span * width;
                for pair in ticks.windows(2) {
                    let room = x(&pair[1]) - x(&pair[0]);
                    let taken = pair[0].name.len().midpoint(pair[1].name.len()) as f64 * COLUMN_PX;
                    assert!(room > taken, "{since} {until} {step} {zone} {width}: {pair:?}");
                }
                let below: Vec<&time::Tick> = ticks.iter().filter(|tick| tick.below.is_some()).collect();
                for pair in below.windows(2) {
                    let long = |tick: &time::Tick| tick.below.as_ref().map_or(0, String::len);
                    let taken = long(pair[0]).midpoint(long(pair[1])) as f64 * COLUMN_PX;
                    assert!(x(pair[1]) - x(pair[0]) > taken, "{since} {until} {step} {zone} {width}: {pair:?}");
                }
            }
        }
    }
}

#[test]
fn a_day_on_which_clocks_are_set_back_names_its_hours_once() {
    let (ticks, _) = time::ticks(&buckets("2026-10-25", "2026-10-26", Step::Hour, "Europe/Berlin"), 1_200.0);
    let names: Vec<&str> = ticks.iter().map(|tick| tick.name.as_str()).collect();
    assert_eq!(names[..4], ["00:00", "01:00", "02:00", "03:00"]);
    assert_eq!(ticks[3].at, at("2026-10-25T02:00:00Z"), "three o'clock is four hours after midnight");
    let (ticks, _) = time::ticks(&buckets("2026-03-29", "2026-03-30", Step::Hour, "Europe/Berlin"), 1_200.0);
    let names: Vec<&str> = ticks.iter().map(|tick| tick.name.as_str()).collect();
    assert_eq!(names[..3], ["00:00", "01:00", "03:00"], "there is no two o'clock");
}

fn heat(figure: impl Fn(usize, usize) -> Point) -> Heat {
    let (buckets, days) = Buckets::hours(
        &Span {
            since: Some(When::Day("2026-11-02".parse().unwrap())),
            until: Some(When::Day("2026-11-16".parse().unwrap())),
            last: None,
        },
        &TimeZone::get("Europe/Berlin").unwrap(),
        declaration().grain,
        at(NOW),
    )
    .unwrap();
    let figures = std::array::from_fn(|day| std::array::from_fn(|hour| figure(day, hour)));
    Heat { complete: buckets.count(), buckets, days, figures, hours: [[2; HOURS]; DAYS], straddle: false }
}

#[test]
fn a_heatmap_has_a_cell_for_each_hour_of_the_week() {
    let declaration = declaration();
    let question = question(&declaration, "tokens", None);
    let some = heat(|day, hour| (day < 5).then(|| number(&(day * 100 + hour).to_string())));
    let svg = heatmap("usage: tokens", &question, &some, &standing("2026-11-16T00:00:00Z"));
    assert_eq!(texts(&svg)["title"].len(), DAYS * HOURS);
    insta::assert_snapshot!("heatmap", svg.replace("><", ">\n<"));
}

#[test]
fn a_heatmap_of_any_figures_is_well_formed() {
    let declaration = declaration();
    let question = question(&declaration, "cost", None);
    for figures in ["-", "0", "-3", "NaN", "1e308", "-1e308 1e308", "1e-300"] {
        let figures: Vec<&str> = figures.split(' ').collect();
        let point = |hour: usize| Some(figures[hour % figures.len()]).filter(|text| *text != "-").map(number);
        let svg = heatmap("odd", &question, &heat(|_, hour| point(hour)), &standing(NOW));
        assert_eq!(texts(&svg)["title"].len(), DAYS * HOURS, "{figures:?}");
        let drawn: String =
            svg.split('<').filter(|element| !element.starts_with("title") && !element.starts_with("text")).collect();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{figures:?}: {svg}");
    }
    let none = heatmap("odd", &question, &heat(|_, _| None), &standing(NOW));
    assert!(texts(&none)["text"].contains(&"no complete hour with cells in this window".to_owned()));
}
