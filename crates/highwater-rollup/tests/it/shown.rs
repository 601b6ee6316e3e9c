//! What is shown of a rollup, read from a target that was written by hand. The raw rows are gone before it is read.

use highwater_db::session::{Dialect, Session, Value};
use highwater_rollup::declare::Declaration;
use highwater_rollup::show::{
    Ask, Key, Number, Question, Refused, Row, Series, Shown, Span, Standing, Step, When, heat, rows, series, standing,
    zone,
};
use highwater_rollup::{ddl, state};
use jiff::Timestamp;

use crate::usage::{Base, run};

pub(crate) const BOTH: [Dialect; 2] = [Dialect::Postgres, Dialect::Sqlite];

const DECLARATION: &str = r#"
    source = "usage"
    event-time = "at"
    grain = "hour"
    target = "usage_hourly"
    keys = { model = "model", project = "project" }
    aggregates = { tokens = { sum = "tokens" }, calls = "count", cost = { avg = "cost" }, users = { count-distinct = "user_id" }, largest = { max = "tokens" }, least = { min = "tokens" }, word = { max = "model" } }
"#;

/// A rollup without raw rows.
pub(crate) struct Target {
    _base: Base,
    pub(crate) session: Box<dyn Session>,
    pub(crate) declaration: Declaration,
}

/// A cell of it: tokens, calls, cost's sum and count, users, largest and least token counts.
pub(crate) struct Cell<'c> {
    pub(crate) bucket: &'c str,
    pub(crate) model: Option<&'c str>,
    pub(crate) project: Option<&'c str>,
    pub(crate) values: [&'c str; 7],
}

impl Target {
    pub(crate) async fn new(dialect: Dialect) -> Self {
        Self::declared(dialect, DECLARATION).await
    }

    pub(crate) async fn declared(dialect: Dialect, declaration: &str) -> Self {
        let declaration: Declaration = toml::from_str(declaration).unwrap();
        declaration.check().unwrap();
        let base = Base::new(dialect).await;
        let mut session = base.session().await;
        let (time, number) = match dialect {
            Dialect::Postgres => ("timestamptz", "numeric"),
            Dialect::Sqlite => ("TEXT", "INTEGER"),
        };
        let source = format!(
            "CREATE TABLE usage (id bigint PRIMARY KEY, at {time}, model text, project text, tokens {number}, cost {number}, \
             user_id bigint)"
        );
        run(&mut *session, &source).await;
        ddl::apply(&mut *session, &declaration).await.unwrap();
        let cascade = if dialect == Dialect::Postgres { " CASCADE" } else { "" };
        run(&mut *session, &format!("DROP TABLE usage{cascade}")).await;
        Self { _base: base, session, declaration }
    }

    pub(crate) async fn put(&mut self, cells: &[Cell<'_>]) {
        for cell in cells {
            let (one, two, three) = match self.session.dialect() {
                Dialect::Postgres => ("$1::text::timestamptz", "$2::text", "$3::text"),
                Dialect::Sqlite => ("?1", "?2", "?3"),
            };
            let sql = format!(
                "INSERT INTO usage_hourly (bucket, model, project, tokens, calls, cost_sum, cost_count, users, largest, least) \
                 VALUES ({one}, {two}, {three}, {})",
                cell.values.join(", ")
            );
            let values = [Value::from(cell.bucket), Value::from(cell.model), Value::from(cell.project)];
            self.session.execute(&sql, &values).await.unwrap();
        }
    }

    /// Seeded, with this watermark.
    pub(crate) async fn stamp(&mut self, watermark: &str) {
        let at: Timestamp = watermark.parse().unwrap();
        state::seeded(&mut *self.session, &self.declaration, at).await.unwrap();
        state::stamp(&mut *self.session, &self.declaration, at).await.unwrap();
    }

    pub(crate) async fn standing(&mut self) -> Standing {
        standing(&mut *self.session, &self.declaration).await.unwrap()
    }

    pub(crate) async fn series(&mut self, ask: &Ask) -> Result<Shown, Refused> {
        self.session.begin_reading().await.unwrap();
        let standing = self.standing().await;
        let question = Question::of(&self.declaration, ask, standing.now)?;
        let shown = series(&mut *self.session, &question, &standing).await;
        self.session.rollback().await.unwrap();
        shown
    }

    async fn rows(&mut self, ask: &Ask) -> Result<Vec<Row>, Refused> {
        let standing = self.standing().await;
        let question = Question::of(&self.declaration, ask, standing.now)?;
        let mut all = Vec::new();
        let each = |_: &_, row| {
            all.push(row);
            Ok::<(), Refused>(())
        };
        rows(&mut *self.session, &question, &standing, each).await?;
        Ok(all)
    }
}

/// Days from one to before another, in a zone.
pub(crate) fn ask(value: &str, by: Option<&str>, from: &str, to: &str) -> Ask {
    Ask {
        by: by.map(str::to_owned),
        value: Some(value.to_owned()),
        zone: zone("UTC").unwrap(),
        step: Some(Step::Day),
        span: Span {
            since: Some(When::Day(from.parse().unwrap())),
            until: Some(When::Day(to.parse().unwrap())),
            last: None,
        },
        top: 20,
    }
}

pub(crate) fn cell<'c>(bucket: &'c str, model: Option<&'c str>, values: [&'c str; 7]) -> Cell<'c> {
    Cell { bucket, model, project: None, values }
}

fn texts(series: &Series) -> Vec<String> {
    let text = |point: &Option<Number>| point.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    [text(&series.total)].into_iter().chain(series.points.iter().map(text)).collect()
}

/// The key, the total, and a figure a bucket.
fn table(shown: &Shown) -> Vec<String> {
    let line = |series: &Series| {
        let key = match &series.key {
            Key::All => "all".to_owned(),
            Key::Null => "NULL".to_owned(),
            Key::Value(text) => format!("{text:?}"),
            Key::Others(count) => format!("{count} others"),
        };
        format!("{key}: {}", texts(series).join(" "))
    };
    shown.series.iter().map(line).collect()
}

/// Two days of three models, one of them NULL and one an empty text.
async fn filled(dialect: Dialect) -> Target {
    let mut target = Target::new(dialect).await;
    let cells = [
        cell("2026-03-01T00:00:00Z", Some("large"), ["10", "1", "3", "2", "1", "10", "10"]),
        cell("2026-03-01T23:00:00Z", Some("large"), ["20", "2", "NULL", "0", "2", "15", "5"]),
        cell("2026-03-02T00:00:00Z", Some("large"), ["-5", "1", "1", "1", "1", "-5", "-5"]),
        cell("2026-03-02T05:00:00Z", None, ["7", "1", "2", "1", "1", "7", "7"]),
        cell("2026-03-02T05:00:00Z", Some(""), ["6", "1", "2", "1", "1", "6", "6"]),
        cell("2026-03-04T05:00:00Z", None, ["NULL", "1", "2", "1", "1", "NULL", "NULL"]),
        // Outside of what is asked for, on both sides.
        cell("2026-02-28T23:00:00Z", Some("large"), ["1000", "1", "1", "1", "1", "1000", "1000"]),
        cell("2026-03-05T00:00:00Z", Some("large"), ["1000", "1", "1", "1", "1", "1000", "1000"]),
    ];
    target.put(&cells).await;
    target.stamp("2026-03-04T06:00:00Z").await;
    target
}

#[tokio::test]
async fn cells_are_added_up_by_key_and_day() {
    for dialect in BOTH {
        let mut target = filled(dialect).await;
        let mut table = async |value: &str, by: Option<&str>| {
            let shown = target.series(&ask(value, by, "2026-03-01", "2026-03-05")).await.unwrap();
            assert_eq!((shown.complete, shown.left_out), (3, 0));
            table(&shown)
        };
        assert_eq!(
            table("tokens", Some("model")).await,
            ["\"large\": 25 30 -5 0 0", "NULL: 7 0 7 0 -", "\"\": 6 0 6 0 0"],
            "{dialect:?}"
        );
        assert_eq!(table("tokens", None).await, ["all: 38 30 8 0 -"], "{dialect:?}");
        assert_eq!(table("calls", None).await, ["all: 7 3 3 0 1"], "{dialect:?}");
        assert_eq!(table("largest", None).await, ["all: 15 15 7 - -"], "{dialect:?}: nothing is known of the 3rd");
        assert_eq!(table("least", None).await, ["all: -5 5 -5 - -"], "{dialect:?}");
        assert_eq!(
            table("cost", None).await,
            ["all: 1.666666666666667 1.5 1.666666666666667 - 2"],
            "{dialect:?}: not a mean of means"
        );
    }
}

#[tokio::test]
async fn keys_beyond_the_largest_are_one_row_whatever_the_aggregate() {
    for dialect in BOTH {
        let mut target = filled(dialect).await;
        let mut table = async |value: &str| {
            let ask = Ask { top: 1, ..ask(value, Some("model"), "2026-03-01", "2026-03-05") };
            table(&target.series(&ask).await.unwrap())
        };
        assert_eq!(table("tokens").await, ["\"large\": 25 30 -5 0 0", "2 others: 13 0 13 0 -"], "{dialect:?}");
        assert_eq!(table("least").await, ["NULL: 7 - 7 - -", "2 others: -5 5 -5 - -"], "{dialect:?}");
        assert_eq!(table("cost").await, ["\"\": 2 - 2 - -", "2 others: 1.6 1.5 1.5 - 2"], "{dialect:?}");
    }
}

#[tokio::test]
async fn what_counts_different_values_is_never_added_up() {
    for dialect in BOTH {
        let mut target = filled(dialect).await;
        let daily = target.series(&ask("users", Some("model"), "2026-03-01", "2026-03-05")).await.unwrap_err();
        assert_eq!(
            daily.to_string(),
            "`users` counts different values, which cannot be added up: a day is 24 cells of the rollup, and a value that is in \
             two of them would be counted twice",
            "{dialect:?}"
        );
        let hourly = Ask { step: Some(Step::Hour), ..ask("users", Some("model"), "2026-03-02", "2026-03-03") };
        let shown = target.series(&hourly).await.unwrap();
        assert_eq!(shown.series.iter().map(|series| &series.total).collect::<Vec<_>>(), [&None; 3], "{dialect:?}");
        assert_eq!(shown.series[0].points.iter().flatten().filter(|point| **point != Number::zero()).count(), 1);
        // Two models of one hour.
        let all = target.series(&Ask { by: None, ..hourly.clone() }).await.unwrap_err().to_string();
        assert!(all.contains("a bucket is 2 cells"), "{dialect:?}: {all}");
        let by_other = Ask { by: Some("project".to_owned()), ..hourly.clone() };
        let by_other = target.series(&by_other).await.unwrap_err().to_string();
        assert!(by_other.contains("a bucket of one `project` is 2 cells"), "{dialect:?}: {by_other}");
        let told = target.rows(&Ask { by: None, ..hourly.clone() }).await.unwrap_err().to_string();
        assert!(told.contains("a bucket is 2 cells"), "{dialect:?}: {told}");
        // What is left out is not called others, which would be their sum.
        let one = target.series(&Ask { top: 1, ..hourly }).await.unwrap();
        assert_eq!((one.series.len(), one.left_out), (1, 2), "{dialect:?}");
        let by_weekday = ask("users", None, "2026-03-01", "2026-03-05");
        let standing = target.standing().await;
        let question = Question::of(&target.declaration, &by_weekday, standing.now).unwrap();
        let refused = heat(&mut *target.session, &question, &standing).await.unwrap_err();
        assert!(matches!(refused, Refused::Distinct { .. }), "{dialect:?}: {refused}");
    }
}

#[tokio::test]
async fn a_day_is_the_zones_and_a_cell_that_straddles_two_is_in_the_first() {
    for dialect in BOTH {
        let mut target = Target::new(dialect).await;
        let one = ["1", "1", "1", "1", "1", "1", "1"];
        let hours: Vec<String> = (0..72)
            .map(|hour| format!("{}", "2026-10-24T00:00:00Z".parse::<Timestamp>().unwrap() + hours(hour)))
            .collect();
        let cells: Vec<Cell<'_>> = hours.iter().map(|hour| cell(hour, None, one)).collect();
        target.put(&cells).await;
        let mut of = async |name: &str| {
            let ask = Ask { zone: zone(name).unwrap(), ..ask("calls", None, "2026-10-25", "2026-10-26") };
            table(&target.series(&ask).await.unwrap())
        };
        assert_eq!(of("Europe/Berlin").await, ["all: 25 25"], "{dialect:?}");
        assert_eq!(of("UTC").await, ["all: 24 24"], "{dialect:?}");
        assert_eq!(of("Asia/Kolkata").await, ["all: 24 24"], "{dialect:?}");
        assert_eq!(of("Pacific/Chatham").await, ["all: 24 24"], "{dialect:?}");
    }
}

fn hours(hours: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn sums_beyond_what_a_machine_word_holds_keep_every_digit() {
    for dialect in BOTH {
        let mut target = Target::new(dialect).await;
        let max = i64::MAX.to_string();
        let least = i64::MIN.to_string();
        let huge = ["2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z", "2026-03-01T02:00:00Z"];
        for hour in huge {
            target.put(&[cell(hour, Some("up"), [&max, "1", &max, "1", "1", &max, &max])]).await;
            target.put(&[cell(hour, Some("down"), [&least, "1", &least, "1", "1", &least, &least])]).await;
        }
        let shown = target.series(&ask("tokens", Some("model"), "2026-03-01", "2026-03-02")).await.unwrap();
        let (up, down) = (3 * i128::from(i64::MAX), 3 * i128::from(i64::MIN));
        assert_eq!(table(&shown), [format!("\"up\": {up} {up}"), format!("\"down\": {down} {down}")], "{dialect:?}");
        assert_eq!(shown.total.unwrap().to_string(), "-3", "{dialect:?}");
        let mean = target.series(&ask("cost", Some("model"), "2026-03-01", "2026-03-02")).await.unwrap();
        assert_eq!(table(&mean)[0], format!("\"up\": {} {0}", i64::MAX), "{dialect:?}");
    }
    let mut target = Target::new(Dialect::Postgres).await;
    let digits = "123456789012345678901234567890.123456789";
    for hour in ["2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"] {
        target.put(&[cell(hour, None, [digits, "1", "1", "1", "1", digits, digits])]).await;
    }
    let shown = target.series(&ask("tokens", None, "2026-03-01", "2026-03-02")).await.unwrap();
    assert_eq!(shown.total.unwrap().to_string(), "246913578024691357802469135780.246913578");
    target.put(&[cell("2026-03-01T02:00:00Z", None, ["'NaN'", "1", "1", "1", "1", "1", "1"])]).await;
    let shown = target.series(&ask("tokens", None, "2026-03-01", "2026-03-02")).await.unwrap();
    assert_eq!(shown.total.unwrap().to_string(), "NaN");
}

#[tokio::test]
async fn every_key_of_every_bucket_comes_once_however_many_pages_that_takes() {
    for dialect in BOTH {
        let mut target = Target::new(dialect).await;
        let generate = match dialect {
            Dialect::Postgres => {
                "INSERT INTO usage_hourly (bucket, model, tokens, calls)
                 SELECT timestamptz '2026-03-01T00:00:00Z' + h * interval '1 hour', nullif('m' || k, 'm7'), k, 1
                 FROM generate_series(0, 2) AS h, generate_series(1, 6000) AS k"
            }
            Dialect::Sqlite => {
                "INSERT INTO usage_hourly (bucket, model, tokens, calls)
                 WITH RECURSIVE s (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM s WHERE k < 6000)
                 SELECT '2026-03-01T0' || h.value || ':00:00Z', nullif('m' || k, 'm7'), k, 1 FROM s, json_each('[0,1,2]') AS h"
            }
        };
        run(&mut *target.session, generate).await;
        let hourly = Ask { step: Some(Step::Hour), ..ask("tokens", Some("model"), "2026-03-01", "2026-03-02") };
        let all = target.rows(&hourly).await.unwrap();
        assert_eq!(all.len(), 18_000, "{dialect:?}");
        let order = |row: &Row| (row.since, row.key.is_none(), row.key.clone());
        assert!(all.is_sorted_by(|left, right| order(left) < order(right)), "{dialect:?}: in order, and none twice");
        assert_eq!(all.iter().filter(|row| row.key.is_none()).count(), 3, "{dialect:?}");
        let sum = all.iter().flat_map(|row| &row.value).fold(Number::zero(), |sum, value| sum.plus(value));
        assert_eq!(sum.to_string(), "54009000", "{dialect:?}");
        let shown = target.series(&hourly).await.unwrap();
        assert_eq!((shown.series.len(), &shown.series[20].key), (21, &Key::Others(5_980)), "{dialect:?}");
        assert_eq!(shown.total.unwrap(), sum, "{dialect:?}");
    }
}

#[tokio::test]
async fn keys_of_any_text_come_as_they_are() {
    let long = "k".repeat(10_000);
    let keys = ["<script>alert(1)</script>", "a\"b'c", "two\nlines", "\u{1b}[2Jcleared", "others", "-", "", &long, "0"];
    for dialect in BOTH {
        let mut target = Target::new(dialect).await;
        let cells: Vec<Cell<'_>> = keys
            .iter()
            .map(|key| cell("2026-03-01T00:00:00Z", Some(key), ["1", "1", "1", "1", "1", "1", "1"]))
            .collect();
        target.put(&cells).await;
        let mut expected = keys.to_vec();
        expected.sort_unstable();
        let ask = ask("tokens", Some("model"), "2026-03-01", "2026-03-02");
        let all = target.rows(&ask).await.unwrap();
        assert_eq!(all.iter().flat_map(|row| row.key.as_deref()).collect::<Vec<_>>(), expected, "{dialect:?}");
        let shown = target.series(&Ask { top: 8, ..ask }).await.unwrap();
        let known: Vec<Key> = expected[..8].iter().map(|key| Key::Value((*key).to_owned())).collect();
        assert_eq!(shown.series[..8].iter().map(|series| series.key.clone()).collect::<Vec<_>>(), known, "{dialect:?}");
        assert_eq!(shown.series[8].key, Key::Others(1), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_no_text_is_one_of_the_others() {
    let mut target = Target::new(Dialect::Sqlite).await;
    let one = ["1", "1", "1", "1", "1", "1", "1"];
    target.put(&[cell("2026-03-01T00:00:00Z", Some("a"), one), cell("2026-03-01T01:00:00Z", Some("b"), one)]).await;
    run(&mut *target.session, "UPDATE usage_hourly SET tokens = 9, model = CAST(x'ff' AS text) WHERE model = 'b'")
        .await;
    let shown = target.series(&ask("tokens", Some("model"), "2026-03-01", "2026-03-02")).await.unwrap();
    assert_eq!(table(&shown), ["\"a\": 1 1", "1 others: 9 9"]);
}

#[tokio::test]
async fn by_weekday_and_hour_it_is_the_mean_of_the_hours_that_there_were() {
    for dialect in BOTH {
        let mut target = Target::new(dialect).await;
        // Two Sundays, of the second of which the hour from two was there twice.
        let hours = ["2026-10-18T00:00:00Z", "2026-10-18T01:00:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"];
        let six = ["6", "1", "6", "3", "1", "6", "6"];
        target.put(&hours.map(|hour| cell(hour, None, six))).await;
        target.stamp("2026-10-25T22:00:00Z").await;
        let standing = target.standing().await;
        let mut of = async |value: &str, name: &str| {
            let ask = Ask { zone: zone(name).unwrap(), ..ask(value, None, "2026-10-18", "2026-10-26") };
            let question = Question::of(&target.declaration, &ask, standing.now).unwrap();
            heat(&mut *target.session, &question, &standing).await.unwrap()
        };
        let berlin = of("tokens", "Europe/Berlin").await;
        assert_eq!(berlin.hours[6][1..4], [2, 3, 2], "{dialect:?}: the Sunday has 25 hours");
        let text = |figure: &Option<Number>| figure.as_ref().map(ToString::to_string);
        assert_eq!(text(&berlin.figures[6][2]).as_deref(), Some("6"), "{dialect:?}: 18 in three hours");
        assert_eq!(text(&berlin.figures[6][3]).as_deref(), Some("3"), "{dialect:?}: 6 in two hours");
        assert_eq!(text(&berlin.figures[0][3]).as_deref(), Some("0"), "{dialect:?}");
        assert_eq!(berlin.hours[6][23], 1, "{dialect:?}: the last hour is not complete");
        assert!(!berlin.straddle, "{dialect:?}");
        let mean = of("cost", "Europe/Berlin").await;
        assert_eq!(text(&mean.figures[6][2]).as_deref(), Some("2"), "{dialect:?}");
        assert_eq!(text(&mean.figures[0][3]), None, "{dialect:?}");
        let kolkata = of("tokens", "Asia/Kolkata").await;
        assert!(kolkata.straddle, "{dialect:?}");
        assert_eq!(text(&kolkata.figures[6][5]).as_deref(), Some("6"), "{dialect:?}: 05:30 is in the hour of five");
    }
}

#[tokio::test]
async fn an_empty_rollup_and_one_that_was_never_seeded_are_shown_as_they_are() {
    for dialect in BOTH {
        let mut target = Target::new(dialect).await;
        let standing = target.standing().await;
        assert_eq!((standing.watermark, standing.seeded_at, standing.extent), (None, None, None), "{dialect:?}");
        assert_eq!(standing.complete_until(), None);
        let empty = target.series(&ask("tokens", Some("model"), "2026-03-01", "2026-03-03")).await.unwrap();
        assert_eq!((empty.series, empty.total, empty.complete), (vec![], None, 0), "{dialect:?}");
        let all = target.series(&ask("tokens", None, "2026-03-01", "2026-03-03")).await.unwrap();
        assert_eq!(table(&all), ["all: - 0 0"], "{dialect:?}");
        target.put(&[cell("2026-03-01T04:00:00Z", None, ["1", "1", "1", "1", "1", "1", "1"])]).await;
        let watermark: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        state::stamp(&mut *target.session, &target.declaration, watermark).await.unwrap();
        let standing = target.standing().await;
        assert_eq!((standing.watermark, standing.complete_until()), (Some(watermark), None), "{dialect:?}");
        assert!(standing.behind().unwrap() > hours(1), "{dialect:?}");
        let extent = standing.extent.unwrap();
        assert_eq!(
            (extent.from.to_string(), extent.to.to_string()),
            ("2026-03-01T04:00:00Z".to_owned(), "2026-03-01T05:00:00Z".to_owned())
        );
        run(&mut *target.session, "DELETE FROM usage_hourly_state").await;
        assert_eq!(target.standing().await.watermark, None, "{dialect:?}: and without its row");
    }
}

#[tokio::test]
async fn what_is_no_number_and_what_is_unknown_is_refused_by_name() {
    for dialect in BOTH {
        let mut target = filled(dialect).await;
        let span = |value: &str, by: Option<&str>| ask(value, by, "2026-03-01", "2026-03-05");
        run(&mut *target.session, "UPDATE usage_hourly SET word = 'small'").await;
        let told = target.series(&span("word", None)).await.unwrap_err().to_string();
        assert_eq!(told, "`word` holds \"small\", expected numbers: only they can be drawn", "{dialect:?}");
        let told = target.series(&span("token", None)).await.unwrap_err().to_string();
        assert!(told.starts_with("found the aggregate \"token\", expected one of `tokens`, `calls`"), "{told}");
        let told = target.series(&span("tokens", Some("bucket"))).await.unwrap_err().to_string();
        assert_eq!(told, "found the key \"bucket\", expected one of `model`, `project`");
        run(&mut *target.session, "DROP TABLE usage_hourly").await;
        let told = standing(&mut *target.session, &target.declaration).await.unwrap_err();
        assert_eq!(told.kind, highwater_db::session::FaultKind::Undefined, "{dialect:?}");
    }
    assert!(zone("Europe/Berlni").unwrap_err().to_string().contains("found the time zone \"Europe/Berlni\""));
}
