//! `episodes verify`: what is stored against the rows. Owns what is told; comparing is the domain's.

use std::io::IsTerminal as _;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::report::ExitCode;
use highwater_episodes::index::{PageAsk, Row};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::name::HostId;
use highwater_episodes::odd::Odd;
use highwater_episodes::shut::Shut;
use highwater_episodes::store::{Oddities, Oddity, Store as _, StoreError};
use highwater_episodes::survey::{stored, without_row};
use highwater_episodes::verify::{Comparer, Depth, Standing, standings};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::{codes, listing};
use super::{Ended, asked, check_hosts, files, size, view};
use crate::Done;
use crate::bar::counted;
use crate::cli::{EpisodesVerify, Global};
use crate::output::Output;
use crate::table::line;

/// Rows that are compared before they are told, for each that is compared at once.
const ROWS_EACH: usize = 16;
/// Stored episodes without a row that are printed at a time.
const ROWLESS_LINES: usize = 1_000;

pub(super) fn verify(args: &EpisodesVerify, global: &Global, output: Output) -> Done {
    let one = |error| vec![error];
    let asked = asked(&args.which).map_err(one)?;
    let files = files(args.which.root.as_deref(), global)?;
    verified(&asked, &files, args.hashes_only, output).map_err(|ended| one(ended.diagnosis()))
}

#[derive(Default)]
struct Counts {
    right: u64,
    wrong: u64,
    size_bytes: u64,
}

fn verified(
    asked: &PageAsk,
    files: &highwater_episodes::reindex::Files,
    hashes_only: bool,
    output: Output,
) -> Result<ExitCode, Ended> {
    use highwater_episodes::index::Index as _;
    let store = files.open_store()?;
    // Before the index is read, so that what is stored meanwhile is not missed in it. What was received since a time tells its row alone.
    let (stored, Oddities { mut odd, mut shut }) = match asked.since {
        None => (stored(&store, asked.hosts.as_deref()).map_err(unread)?, store.oddities().map_err(unread)?),
        Some(_) => (Vec::new(), Oddities::default()),
    };
    let view = view(files, output)?;
    check_hosts(asked, files, &view)?;
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let bar = bar(view.figures()?.keys, output);
    let mut counts = Counts::default();
    let mut rows: Vec<Row> = Vec::new();
    let depth = if hashes_only { Depth::Bytes } else { Depth::Contents };
    let no_memory = |error| {
        Diagnosis::failure("HW-ENV-002", with_causes(&error), "give it more memory, or call it with --hashes-only")
    };
    let mut comparers: Vec<Comparer> =
        (0..at_once).map(|_| Comparer::new(depth)).collect::<Result<_, _>>().map_err(no_memory)?;
    let mut compare = |rows: &mut Vec<Row>, counts: &mut Counts| -> Result<(), Diagnosis> {
        for (row, standing) in rows.iter().zip(standings(&store, rows, &mut comparers)) {
            if standing.is_right() {
                counts.right += 1;
                counts.size_bytes =
                    counts.size_bytes.saturating_add(if row.withdrawn.is_some() { 0 } else { row.size_bytes });
                continue;
            }
            counts.wrong += 1;
            let text = told(row, &standing, output);
            bar.suspend(|| listing::print(&text))?;
        }
        bar.inc(rows.len() as u64);
        rows.clear();
        Ok(())
    };
    let same = |row| row;
    view.each(asked, same, |row| -> Result<bool, Ended> {
        rows.push(row);
        if rows.len() == at_once * ROWS_EACH {
            compare(&mut rows, &mut counts)?;
        }
        Ok(true)
    })?;
    compare(&mut rows, &mut counts)?;
    bar.finish_and_clear();
    let Counts { right, wrong, size_bytes } = counts;
    let rowless = without_row(stored, &view);
    for keys in rowless.chunks(ROWLESS_LINES) {
        listing::print(&keys.iter().flat_map(|key| without(key, output)).collect::<Vec<u8>>())?;
    }
    let rowless = rowless.len() as u64;
    // Those in the place of an episode that has a row are told of with it.
    odd.retain(|odd| {
        asked.hosts.as_ref().is_none_or(|hosts| hosts.contains(&odd.host))
            && odd
                .episode
                .as_ref()
                .is_none_or(|episode| !view.has(&EpisodeKey { host: odd.host.clone(), episode: episode.clone() }))
    });
    for odd in odd.chunks(ROWLESS_LINES) {
        listing::print(&odd.iter().flat_map(|odd| nothing_of_ours(odd, output)).collect::<Vec<u8>>())?;
    }
    let odd = odd.len() as u64;
    shut.retain(|(host, _)| asked.hosts.as_ref().is_none_or(|hosts| hosts.contains(host)));
    for shut in shut.chunks(ROWLESS_LINES) {
        listing::print(&shut.iter().flat_map(|(host, shut)| unlisted(host, shut, output)).collect::<Vec<u8>>())?;
    }
    let shut = shut.len() as u64;
    let mut sentence = match (wrong, rowless + odd + shut) {
        (0, 0) => format!("all agree: {}, {} stored", counted(right, "row"), size(size_bytes)),
        (0, _) => format!("{} and what is stored agree", counted(right, "row")),
        (1, _) => format!("1 of {} disagrees with what is stored", counted(right + 1, "row")),
        _ => format!("{wrong} of {} disagree with what is stored", counted(right + wrong, "row")),
    };
    match rowless {
        0 => {}
        1 => sentence.push_str("; 1 stored episode has no row: `highwater reindex` gives it one"),
        more => sentence.push_str(&format!("; {more} stored episodes have no row: `highwater reindex` gives them one")),
    }
    match odd {
        0 => {}
        1 => sentence.push_str("; 1 thing is not what belongs in its place: move it away"),
        more => sentence.push_str(&format!("; {more} things are not what belongs in their place: move them away")),
    }
    match shut {
        0 => {}
        1 => sentence.push_str("; the episodes of 1 host cannot be listed"),
        more => sentence.push_str(&format!("; the episodes of {more} hosts cannot be listed")),
    }
    let told = json!({
        "right": right, "wrong": wrong, "without_row": rowless, "odd": odd, "unlisted": shut, "size_bytes": size_bytes,
    });
    output.answer(&told, sentence);
    Ok(if wrong + rowless + odd + shut == 0 { ExitCode::Drained } else { ExitCode::Halted })
}

fn unread(error: StoreError) -> Diagnosis {
    let next = Odd::next_of(&error, "check the disk and that this user may read it");
    Diagnosis::failure(codes::EPISODES_UNUSABLE, with_causes(&error), next)
}

/// What has the place of an episode or of a host and is neither, as a line.
fn nothing_of_ours(Oddity { host, episode, odd }: &Oddity, output: Output) -> Vec<u8> {
    let told = format!("{odd}: move it away");
    if output.json {
        return listing::json_lines([
            json!({ "host_id": host, "episode_id": episode, "path": odd.path.to_string_lossy(), "standing": "odd", "told": told }),
        ]);
    }
    format!("{}\n", line(&told)).into_bytes()
}

/// A host whose directory cannot be read, as a line.
fn unlisted(host: &HostId, shut: &Shut, output: Output) -> Vec<u8> {
    let told = format!("{shut}; {}", shut.next());
    if output.json {
        return listing::json_lines([
            json!({ "host_id": host, "path": shut.path.to_string_lossy(), "standing": "unread", "told": told }),
        ]);
    }
    format!("{}\n", line(&told)).into_bytes()
}

/// A stored episode that has no row, as a line.
fn without(key: &EpisodeKey, output: Output) -> Vec<u8> {
    let told = "stored, and has no row";
    if output.json {
        return listing::json_lines([
            json!({ "host_id": key.host, "episode_id": key.episode, "standing": "no-row", "told": told }),
        ]);
    }
    format!("{key}: {told}\n").into_bytes()
}

fn bar(rows: u64, output: Output) -> ProgressBar {
    if output.quiet || output.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} rows, {per_sec}, {eta} left");
    ProgressBar::new(rows).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn told(row: &Row, standing: &Standing, output: Output) -> Vec<u8> {
    let key = row.key();
    let (word, text) = match standing {
        Standing::Agrees => ("agrees", "it agrees".to_owned()),
        Standing::Missing => ("missing", "not stored".to_owned()),
        Standing::Differs { sha256, size_bytes } => (
            "differs",
            format!(
                "stored are {size_bytes} bytes with sha256 {sha256}; the row says {} and {}",
                row.size_bytes, row.sha256
            ),
        ),
        Standing::NoArchive(why) => {
            ("no-archive", format!("its bytes are those of the row, but no archive of an episode: {}", line(why)))
        }
        Standing::Contradicts(what) => ("contradicts", format!("its bytes are those of the row, but {}", line(what))),
        Standing::Left => ("left", "withdrawn, and stored all the same".to_owned()),
        Standing::Odd(what) => ("odd", line(what)),
        Standing::Unread(why) => ("unread", format!("cannot be read: {}", line(why))),
    };
    if output.json {
        return listing::json_lines([
            json!({ "host_id": key.host, "episode_id": key.episode, "standing": word, "told": text }),
        ]);
    }
    format!("{key}: {text}\n").into_bytes()
}
