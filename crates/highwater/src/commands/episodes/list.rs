//! `episodes list`: rows, totals, or what is missing. Owns how each looks, for people and programs.

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::report::ExitCode;
use highwater_episodes::index::{Found, Gate, PageAsk, View};
use highwater_episodes::totals::{ByDay, ByHost, Missing, Numbers, Total};
use indicatif::DecimalBytes;
use jiff::tz::TimeZone;
use serde_json::json;

use super::super::listing::{self, Reader};
use super::{COLUMNS, Ended, asked, check_hosts, csv_lines, fields, files, size, view};
use crate::Done;
use crate::bar::{counted, grouped};
use crate::cli::{EpisodesList, Global, TotalBy};
use crate::output::Output;
use crate::table::{Columns, Rows, line, moment};

/// Digits of a commit that are shown.
const COMMIT_CHARS: usize = 12;
/// Hours of a day.
const HOURS: f64 = 24.0;

pub(super) fn list(args: &EpisodesList, global: &Global, output: Output) -> Done {
    let one = |error| vec![error];
    let asked = asked(&args.which).map_err(one)?;
    let files = files(args.which.root.as_deref(), global)?;
    let view = view(&files, output).map_err(one)?;
    check_hosts(&asked, &files, &view).map_err(one)?;
    let told = match (args.by, args.missing) {
        (Some(by), _) => totals(by, args, &view, &asked, output),
        (None, true) => missing(args, &view, &asked, output),
        (None, false) => rows(args, &view, &asked, output),
    };
    told.map(|()| ExitCode::Drained).map_err(|ended| one(ended.diagnosis()))
}

/// What a reader wants, as it is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Table,
    Csv,
    Json,
}

fn shape(args: &EpisodesList, output: Output) -> Shape {
    match (output.json, args.csv) {
        (true, _) => Shape::Json,
        (_, true) => Shape::Csv,
        _ => Shape::Table,
    }
}

fn rows(args: &EpisodesList, view: &View, asked: &PageAsk, output: Output) -> Result<(), Ended> {
    let shape = shape(args, output);
    let mut columns = Columns::new(["episode", "received", "size", "commit", "note"]);
    let (mut episodes, mut size_bytes, mut withdrawn) = (0, 0_u64, 0);
    let mut reader = Reader::There;
    if shape == Shape::Csv {
        reader = listing::print(&csv_lines([COLUMNS]))?;
    }
    let add = |part: &mut Part, row: Found<'_>| {
        match row.stored_bytes() {
            None => part.withdrawn += 1,
            Some(bytes) => {
                part.episodes += 1;
                part.size_bytes = part.size_bytes.saturating_add(bytes);
            }
        }
        match shape {
            Shape::Json => row.write_line(&mut part.text),
            Shape::Csv => part.text.extend_from_slice(&csv_lines([fields(&row.row())])),
            Shape::Table => cells(&mut part.rows, &row),
        }
    };
    view.fold(asked, add, |part| -> Result<bool, Ended> {
        episodes += part.episodes;
        withdrawn += part.withdrawn;
        size_bytes = size_bytes.saturating_add(part.size_bytes);
        if reader == Reader::There && !part.text.is_empty() {
            reader = listing::print(&part.text)?;
        }
        if reader == Reader::There && !part.rows.is_empty() {
            reader = listing::print(columns.rows(&part.rows).as_bytes())?;
        }
        Ok(reader == Reader::There)
    })?;
    if reader != Reader::There {
        // Not all was counted: nobody reads on.
        return Ok(());
    }
    let more = if withdrawn == 0 { String::new() } else { format!(", {} withdrawn", grouped(withdrawn)) };
    output.note(format!("{}, {}{more}", counted(episodes, "episode"), size(size_bytes)));
    Ok(())
}

/// The rows of a part of the index, as they are printed but for how wide columns are.
#[derive(Default)]
struct Part {
    episodes: u64,
    size_bytes: u64,
    withdrawn: u64,
    text: Vec<u8>,
    rows: Rows<5>,
}

fn cells(rows: &mut Rows<5>, row: &Found<'_>) {
    rows.cell(format_args!("{}/{}", row.host_id(), row.episode_id()));
    rows.cell(moment(row.received_at_wall()));
    rows.cell(DecimalBytes(row.size_bytes()));
    rows.cell(row.commit().map_or("-", |commit| &commit[..COMMIT_CHARS]));
    let gate = match row.gate() {
        Some(Gate::Off) => "not judged",
        Some(Gate::Allowed) => "let in",
        None => "",
    };
    let backfilled = if row.backfilled() { "backfilled" } else { "" };
    match row.withdrawn() {
        None if gate.is_empty() || backfilled.is_empty() => rows.cell(format_args!("{backfilled}{gate}")),
        None => rows.cell(format_args!("{backfilled}, {gate}")),
        Some(why) => {
            let withdrawn = format!("withdrawn: {}", line(why));
            let notes = [withdrawn.as_str(), backfilled, gate];
            rows.cell(notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join(", "));
        }
    }
}

fn totals(by: TotalBy, args: &EpisodesList, view: &View, asked: &PageAsk, output: Output) -> Result<(), Ended> {
    let shape = shape(args, output);
    let text = match by {
        TotalBy::Host => {
            let mut hosts = ByHost::default();
            view.fold(
                asked,
                |part: &mut ByHost, row| part.add(&row),
                |part| {
                    hosts.merge(&part);
                    Ok::<_, Ended>(true)
                },
            )?;
            of_hosts(&hosts, shape)
        }
        TotalBy::Day => {
            let mut days = ByDay::default();
            view.fold(
                asked,
                |part: &mut ByDay, row| part.add(&row),
                |part| {
                    days.merge(&part);
                    Ok::<_, Ended>(true)
                },
            )?;
            of_days(&days, shape)
        }
    };
    listing::print(&text)?;
    Ok(())
}

fn of_hosts(hosts: &ByHost, shape: Shape) -> Vec<u8> {
    const TITLES: [&str; 7] =
        ["host_id", "episodes", "size_bytes", "first", "last", "episodes_a_day", "size_bytes_a_day"];
    let rate = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!("{rate:.1}"));
    match shape {
        Shape::Json => listing::json_lines(hosts.iter().map(|(host, total)| {
            let Total { episodes, size_bytes, first, last } = total;
            let a_day = total.a_day();
            json!({ "host_id": host, "episodes": episodes, "size_bytes": size_bytes, "first": first, "last": last,
                "episodes_a_day": a_day.map(|(episodes, _)| episodes), "size_bytes_a_day": a_day.map(|(_, bytes)| bytes) })
        })),
        Shape::Csv => csv_lines([TITLES.map(str::to_owned)].into_iter().chain(hosts.iter().map(|(host, total)| {
            let a_day = total.a_day();
            [
                host.to_string(),
                total.episodes.to_string(),
                total.size_bytes.to_string(),
                total.first.to_string(),
                total.last.to_string(),
                rate(a_day.map(|(episodes, _)| episodes)),
                rate(a_day.map(|(_, bytes)| bytes)),
            ]
        }))),
        Shape::Table => {
            let rows = hosts.iter().map(|(host, total)| {
                let a_day = total.a_day().map_or(["-".to_owned(), "-".to_owned()], |(episodes, bytes)| {
                    [format!("{episodes:.1}"), size(whole(bytes))]
                });
                let [episodes, bytes] = a_day;
                let Total { first, last, .. } = total;
                [
                    host.to_string(),
                    grouped(total.episodes),
                    size(total.size_bytes),
                    moment(*first).to_string(),
                    moment(*last).to_string(),
                    episodes,
                    bytes,
                ]
            });
            let mut columns = Columns::new(["host", "episodes", "size", "first", "last", "a day", "size a day"]);
            columns.page(&rows.collect::<Vec<_>>()).into_bytes()
        }
    }
}

fn of_days(days: &ByDay, shape: Shape) -> Vec<u8> {
    const TITLES: [&str; 6] = ["day", "host_id", "episodes", "size_bytes", "episodes_an_hour", "size_bytes_an_hour"];
    let now = SystemClock::new().now();
    let today = now.to_zoned(TimeZone::UTC);
    // Of today, of the hours that have been.
    let hours = |day| {
        let so_far =
            today.start_of_day().map_or(HOURS, |begin| now.duration_since(begin.timestamp()).as_secs_f64() / 3600.0);
        if day == today.date() { so_far.max(1.0 / 60.0) } else { HOURS }
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
    let rate = |count: u64, day| count as f64 / hours(day);
    match shape {
        Shape::Json => listing::json_lines(days.iter().map(|(day, host, total)| {
            json!({ "day": day, "host_id": host, "episodes": total.episodes, "size_bytes": total.size_bytes,
                "episodes_an_hour": rate(total.episodes, day), "size_bytes_an_hour": rate(total.size_bytes, day) })
        })),
        Shape::Csv => {
            csv_lines([TITLES.map(str::to_owned)].into_iter().chain(days.iter().map(|(day, host, total)| {
                [
                    day.to_string(),
                    host.to_string(),
                    total.episodes.to_string(),
                    total.size_bytes.to_string(),
                    format!("{:.2}", rate(total.episodes, day)),
                    format!("{:.1}", rate(total.size_bytes, day)),
                ]
            })))
        }
        Shape::Table => {
            let rows = days.iter().map(|(day, host, total)| {
                [
                    day.to_string(),
                    host.to_string(),
                    grouped(total.episodes),
                    size(total.size_bytes),
                    format!("{:.2}", rate(total.episodes, day)),
                    size(whole(rate(total.size_bytes, day))),
                ]
            });
            let mut columns = Columns::new(["day", "host", "episodes", "size", "an hour", "size an hour"]);
            columns.page(&rows.collect::<Vec<_>>()).into_bytes()
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate above zero, for people")]
fn whole(estimate: f64) -> u64 {
    estimate as u64
}

fn missing(args: &EpisodesList, view: &View, asked: &PageAsk, output: Output) -> Result<(), Ended> {
    let shape = shape(args, output);
    let mut numbers = Numbers::default();
    view.fold(
        asked,
        |part: &mut Numbers, row| part.add(&row),
        |part| {
            numbers.merge(part);
            Ok::<_, Ended>(true)
        },
    )?;
    let mut lines = Vec::new();
    let (mut uncounted, mut episodes) = (Vec::new(), 0);
    for (host, before, missing) in numbers.missing() {
        match missing {
            Missing::NotCounted => uncounted.push(format!("{host}/{before}…")),
            Missing::Gaps(gaps) => {
                for gap in gaps {
                    episodes += gap.episodes;
                    lines.push([host.to_string(), gap.from, gap.to, gap.episodes.to_string()]);
                }
            }
        }
    }
    let text = match shape {
        Shape::Json => listing::json_lines(lines.iter().map(|[host, from, to, episodes]| {
            json!({ "host_id": host, "from": from, "to": to, "episodes": episodes.parse::<u64>().ok() })
        })),
        Shape::Csv => {
            let titles = ["host_id", "from", "to", "episodes"].map(str::to_owned);
            csv_lines([titles].into_iter().chain(lines))
        }
        Shape::Table if lines.is_empty() => Vec::new(),
        Shape::Table => Columns::new(["host", "from", "to", "episodes"]).page(&lines).into_bytes(),
    };
    listing::print(&text)?;
    output.note(format!("{} missing between the first and the last of a host", counted(episodes, "episode")));
    if !uncounted.is_empty() {
        output.note(format!("these do not count one by one, so nothing is told of them: {}", uncounted.join(", ")));
    }
    Ok(())
}
