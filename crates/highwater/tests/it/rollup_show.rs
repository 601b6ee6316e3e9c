//! `rollup show`, called as a person calls it, on targets that were written by hand, in SQLite and in PostgreSQL.

use std::fs;

use highwater_testkit::postgres::Postgres;

use crate::rig::{Ended, Rig};

const JOB: &str = r#"
kind = "rollup"
source = "usage"
event-time = "at"
grain = "GRAIN"
target = "usage_hourly"
keys = { model = "model", project = "project" }
aggregates = { tokens = { sum = "tokens" }, calls = "count", cost = { avg = "cost" }, users = { count-distinct = "user_id" }, largest = { max = "tokens" } }
"#;

/// The tables that `install` makes, as far as they are read, with TIME and NUMBER for the types.
const TABLES: &str = "CREATE TABLE usage_hourly (bucket TIME, model text, project text, tokens NUMBER, calls bigint, cost_sum NUMBER,
         cost_count bigint, users bigint, largest NUMBER);
     CREATE TABLE usage_hourly_state (one int PRIMARY KEY DEFAULT 1, watermark TIME, seeded_at TIME, installed_at TIME NOT NULL, frozen_before TIME,
         declared text, partitions text);
     INSERT INTO usage_hourly_state (watermark, seeded_at, installed_at)
         VALUES ('2026-10-26T12:30:00Z', '2026-10-26T12:00:00Z', '2026-10-26T11:00:00Z');";

/// The days around the end of summer time in Berlin.
const CELLS: &str = "INSERT INTO usage_hourly VALUES
    ('2026-10-24T08:00:00Z', 'large', 'a', 1200, 3, 4.5, 3, 2, 700),
    ('2026-10-24T22:00:00Z', 'large', 'a', 50, 1, 0.5, 1, 1, 50),
    ('2026-10-25T22:00:00Z', 'large', 'a', 2000, 4, 2, 4, 2, 900),
    ('2026-10-25T23:00:00Z', 'large', 'b', 700, 2, 1, 2, 2, 500),
    ('2026-10-26T09:00:00Z', 'large', 'b', 300, 2, 1, 1, 2, 200),
    ('2026-10-24T09:00:00Z', NULL, 'a', 90, 1, 0.25, 1, 1, 90),
    ('2026-10-25T09:00:00Z', '', 'a', 30, 1, 0.25, 1, 1, 30),
    ('2026-10-25T10:00:00Z', '-', NULL, 10, 1, 0.25, 1, 1, 10),
    ('2026-10-25T10:00:00Z', 'refund', NULL, -400, 1, NULL, 0, 1, -400)";

struct Place {
    rig: Rig,
    _server: Option<Postgres>,
}

impl Place {
    /// A SQLite file that these statements made.
    fn sqlite(sql: &[&str]) -> Self {
        Self::of(None, "hour", sql)
    }

    fn of(server: Option<Postgres>, grain: &str, sql: &[&str]) -> Self {
        let database = server.as_ref().map_or_else(|| "sqlite:usage.db".to_owned(), Postgres::url);
        let rig = Rig::new(&format!("[job.usage]{}database = \"{database}\"\n", JOB.replace("GRAIN", grain)));
        match &server {
            None => {
                let sql = sql.join(";\n").replace("TIME", "TEXT").replace("NUMBER", "INTEGER");
                rusqlite::Connection::open(rig.path("usage.db")).unwrap().execute_batch(&sql).unwrap();
            }
            Some(server) => {
                let sql = sql.join(";\n").replace("TIME", "timestamptz").replace("NUMBER", "numeric");
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(async { server.connect().await.unwrap().batch_execute(&sql).await.unwrap() });
            }
        }
        Self { rig, _server: server }
    }

    fn show(&self, args: &str) -> Ended {
        let args: Vec<&str> = ["rollup", "show", "usage"].into_iter().chain(args.split_whitespace()).collect();
        self.rig.command(&args).env("LC_ALL", "C.UTF-8").output().unwrap().into()
    }

    fn shown(&self, args: &str) -> String {
        let ended = self.show(args);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args}: {}", ended.stdout);
        // How far behind it is grows by the day.
        let words: Vec<String> = ended.stdout.lines().map(behind).collect();
        words.join("\n")
    }

    fn refused(&self, args: &str) -> String {
        let ended = self.show(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args}");
        ended.stderr
    }
}

fn behind(line: &str) -> String {
    match (line.find(", "), line.find(" behind the database's clock")) {
        (Some(from), Some(to)) => format!("{}, [TIME]{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    }
}

const WINDOW: &str = "--since 2026-10-24 --until 2026-10-27 --tz Europe/Berlin";

#[test]
fn a_table_shows_keys_by_day_and_what_is_not_complete() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let shown = place.shown(&format!("--by model {WINDOW}"));
    insta::assert_snapshot!(shown);
    // A server says the same.
    let server = Place::of(Some(Postgres::start().unwrap()), "hour", &[TABLES, CELLS]);
    assert_eq!(server.shown(&format!("--by model {WINDOW}")), shown);
    for more in
        ["--csv --by model", "--heatmap", "--csv --heatmap", "--value cost --top 1 --by project", "--by model --svg -"]
    {
        let args = format!("{more} {WINDOW}");
        assert_eq!(server.shown(&args), place.shown(&args), "{args}");
    }
}

#[test]
fn means_and_extremes_are_overall_and_have_no_share() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let cost = place.shown(&format!("--by model --value cost --top 2 {WINDOW}"));
    let largest = place.shown(&format!("--value largest --bucket week {WINDOW}"));
    insta::assert_snapshot!(format!("{cost}\n\n{largest}"));
}

#[test]
fn a_place_without_unicode_gets_plain_signs() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let args: Vec<&str> = ["rollup", "show", "usage", "--by", "model"].into_iter().chain(WINDOW.split(' ')).collect();
    let ended: Ended = place.rig.command(&args).env("LC_ALL", "C").output().unwrap().into();
    assert!(ended.stdout.is_ascii(), "{}", ended.stdout);
    let args: Vec<&str> = ["rollup", "show", "usage", "--heatmap"].into_iter().chain(WINDOW.split(' ')).collect();
    let ended: Ended = place.rig.command(&args).env("LC_ALL", "C").output().unwrap().into();
    assert!(ended.stdout.is_ascii(), "{}", ended.stdout);
}

#[test]
fn csv_tells_null_from_an_empty_text_and_says_the_offset() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    insta::assert_snapshot!(place.shown(&format!("--csv --by model {WINDOW}")));
    assert_eq!(
        place.shown(&format!("--csv --bucket month {WINDOW}")),
        "since,until,tokens,complete\n2026-10-01T00:00:00+02:00,2026-11-01T00:00:00+01:00,3980,false"
    );
}

#[test]
fn a_heatmap_is_of_complete_hours_alone() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let heat = place.shown(&format!("--heatmap {WINDOW}"));
    let calls = place.shown("--heatmap --value calls --since 2026-10-24 --until 2026-10-27 --tz Asia/Kolkata");
    insta::assert_snapshot!(format!("{heat}\n\n{calls}"));
}

#[test]
fn json_has_every_digit_as_text() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let ended = place.show(&format!("--json --by model --top 2 {WINDOW}"));
    let mut json = ended.json();
    assert!(json["behind_secs"].as_i64().unwrap() > 0);
    json["behind_secs"] = 0.into();
    json["notes"] = json["notes"].as_array().unwrap().len().into();
    insta::assert_json_snapshot!(json);
}

#[test]
fn an_svg_is_written_whole_and_only_over_another() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let told = place.shown(&format!("--by model --svg chart.svg {WINDOW}"));
    assert_eq!(told, "wrote chart.svg");
    let chart = place.rig.read("chart.svg");
    assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"), "{chart}");
    assert_eq!(place.shown(&format!("--by model --svg - {WINDOW}")), chart.trim_end());
    let told = place.show(&format!("--heatmap --svg chart.svg --json {WINDOW}"));
    assert_eq!(told.json()["svg"], "chart.svg");
    assert!(place.rig.read("chart.svg").contains("per hour, on average"));
    place.rig.write("notes.md", "# notes");
    insta::assert_snapshot!(place.refused(&format!("--svg notes.md {WINDOW}")), @"
    error[HW-ROL-029]: notes.md: --svg: found a file that is no SVG, expected an SVG to replace, or nothing
      next: name another file, or remove this one
    ");
    assert_eq!(place.rig.read("notes.md"), "# notes");
    let nowhere = place.show(&format!("--svg nowhere/chart.svg {WINDOW}"));
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(nowhere.stderr.starts_with("error[HW-ROL-035]: nowhere/chart.svg: --svg: the chart cannot be written: "));
}

#[test]
fn hostile_keys_are_shown_and_steer_nothing() {
    let long = "k".repeat(10_000);
    let hostile = ["<script>alert(1)</script>", "a\"b,'c'", "two\nlines", "\u{1b}[2J\u{7}red", "\u{202e}drow", &long];
    let place = Place::sqlite(&[TABLES]);
    let db = rusqlite::Connection::open(place.rig.path("usage.db")).unwrap();
    for key in hostile {
        let sql = "INSERT INTO usage_hourly (bucket, model, tokens) VALUES ('2026-10-25T10:00:00Z', ?1, 1)";
        db.execute(sql, [key]).unwrap();
    }
    drop(db);
    insta::assert_snapshot!(place.shown(&format!("--by model {WINDOW}")));
    let csv = place.show(&format!("--csv --by model {WINDOW}")).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut read: Vec<String> = reader.records().map(|record| record.unwrap()[2].to_owned()).collect();
    let mut expected = hostile.map(str::to_owned);
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
    let svg = place.show(&format!("--by model --svg - {WINDOW}")).stdout;
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}') && svg.contains("&lt;script&gt;"), "{svg}");
}

#[test]
fn a_rollup_that_is_empty_or_was_never_seeded_says_so() {
    let unseeded = "UPDATE usage_hourly_state SET watermark = NULL, seeded_at = NULL";
    let empty = Place::sqlite(&[TABLES, unseeded]).shown(&format!("--by model {WINDOW}"));
    let no_window = Place::sqlite(&[TABLES, CELLS]).shown("--by model --since 2020-01-01 --until 2020-02-01");
    let half = Place::sqlite(&[TABLES, CELLS, "UPDATE usage_hourly_state SET seeded_at = NULL"]).shown(WINDOW);
    insta::assert_snapshot!([empty, no_window, half].join("\n\n"));
}

#[test]
fn r15_what_cannot_be_shown_is_refused_with_the_way_out() {
    let place = Place::sqlite(&[TABLES, CELLS]);
    let asked = [
        "--by modle",
        "--value token",
        "--tz Europe/Berlni",
        "--tz Mars/Olympus_Mons",
        "--value users",
        "--bucket hour --value users --since 2026-10-25T10:00:00Z --until 2026-10-25T12:00:00Z",
        "--bucket hour --since 2020-01-01 --until 2026-01-01",
        "--since 2026-10-27 --until 2026-10-24",
        "--heatmap --value users",
        "--since tomorrow",
        "--csv --json",
        "--heatmap --by model",
    ];
    let mut told: Vec<String> = asked.iter().map(|args| format!("$ {args}\n{}", place.refused(args))).collect();
    let daily = Place::of(None, "day", &[TABLES, CELLS]);
    for args in ["--tz Europe/Berlin --since 2026-10-01 --until 2026-10-03", "--bucket hour", "--heatmap"] {
        told.push(format!("$ a day: {args}\n{}", daily.refused(args)));
    }
    let own = Rig::new(
        "[job.usage]\nkind = \"rollup\"\ndatabase = \"sqlite:usage.db\"\nwindow = \"SELECT 1 WHERE ?1 < ?2\"\n\
         bounds = \"SELECT 1, 2\"\nwatermark = { table = \"state\", column = \"watermark\" }\n",
    );
    fs::write(own.path("usage.db"), "").unwrap();
    let ended = own.run(&["rollup", "show", "usage"]);
    assert_eq!(ended.code, 2);
    let at = own.dir.path().display().to_string();
    told.push(format!("$ a window of one's own\n{}", ended.stderr.replace(&at, "[DIR]")));
    let bare = Place::sqlite(&["SELECT 1"]);
    let ended = bare.show("");
    assert_eq!(ended.code, 2);
    let at = bare.rig.dir.path().display().to_string();
    told.push(format!("$ not installed\n{}", ended.stderr.replace(&at, "[DIR]")));
    insta::assert_snapshot!(told.join("\n"));
}
