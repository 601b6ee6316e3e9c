//! `items`: the items of a job with what became of them. Owns how keys and outcome words are read, for `retry` and `skip`
//! too, and the shape of an item in a table, in CSV and in JSON.

use std::collections::HashSet;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{
    ItemFilter, ItemOrder, ItemRecord, JobRecord, Ledger, LedgerError, LedgerFault, PAGE_ROWS_MAX,
};
use highwater_engine::name::{ItemKey, JobName};
use highwater_engine::outcome::OutcomeKind;
use highwater_engine::worklist::WorklistRecord;
use jiff::Timestamp;
use serde::Serialize;

use super::listing::{self, Reader};
use super::{call, codes, done};
use crate::Done;
use crate::cli::Items;
use crate::config::suggestion;
use crate::site::Site;
use crate::table::{Columns, line, moment, one_line};

/// The words of outcomes, as `--outcome` takes them.
const OUTCOMES: [&str; 6] = ["done", "gone", "present", "skipped", "review", "retry"];
/// What has no terminal outcome: no outcome itself, but what a person asks for most.
const OPEN: &str = "open";

pub(crate) async fn items(args: Items, site: Site) -> Done {
    done(listed(&args, &site).await)
}

async fn listed(args: &Items, site: &Site) -> Result<(), Diagnosis> {
    let filter = match &args.outcome {
        Some(word) if word == OPEN => ItemFilter::Open,
        Some(word) => ItemFilter::Outcome(outcome(word, &[OPEN])?),
        None if args.key.is_empty() => ItemFilter::All,
        None => ItemFilter::Keys(keys(&args.key, "--key")?),
    };
    let glance = site.ledger_to_read()?;
    let ledger = &*glance.ledger;
    let job = site.job(ledger, &args.job).await?;
    let worklist = worklist(site, &job, ledger.job(&job).await?)?;

    let order = if args.recorded { ItemOrder::Recorded } else { ItemOrder::Position };
    let mut shape = Shape::of(args, site);
    let mut left = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut after = None;
    let mut missing: HashSet<&ItemKey> = match &filter {
        ItemFilter::Keys(keys) => keys.iter().collect(),
        _ => HashSet::new(),
    };
    while left > 0 {
        let page = ledger.items(worklist.id, &filter, order, after, left.min(PAGE_ROWS_MAX)).await?;
        let Some(last) = page.last() else { break };
        after = match order {
            ItemOrder::Position => Some(last.position),
            ItemOrder::Recorded => last.recorded_no,
        };
        left -= page.len();
        for item in &page {
            missing.remove(&item.key);
        }
        if listing::print(&shape.page(&page)?)? == Reader::Gone {
            return Ok(());
        }
    }
    if after.is_none() && missing.is_empty() {
        site.output.note(format!("no items of {job} are so"));
    }
    refuse_missing(site, &job, &missing, args)
}

/// Keys that were asked for and are of no item.
fn refuse_missing(site: &Site, job: &JobName, missing: &HashSet<&ItemKey>, args: &Items) -> Result<(), Diagnosis> {
    // A list in the order of outcomes leaves out what has none, and a short one what is beyond its limit.
    if missing.is_empty() || args.recorded || args.limit > 0 {
        return Ok(());
    }
    let mut keys: Vec<_> = missing.iter().map(|key| line(key.as_str())).collect();
    keys.sort();
    Err(Diagnosis::refusal(
        codes::UNKNOWN_KEY,
        format!("found no item {} in the worklist of {job}, expected keys as they stand in the list", keys.join(", ")),
        format!("look with {}", call(site, format_args!("items {job}"))),
    )
    .at_field("--key"))
}

/// What the ledger says of a word on keys, one of which no item has.
pub(super) fn refused(site: &Site, job: &JobName, error: LedgerError) -> Diagnosis {
    if error.fault != LedgerFault::NotThere {
        return error.into();
    }
    let next =
        format!("look with {}; a key is written as it stands in the list", call(site, format_args!("items {job}")));
    Diagnosis::refusal(codes::UNKNOWN_KEY, format!("{job}: {}", error.message), next).at_field("KEY")
}

/// The job's newest worklist.
///
/// # Errors
/// A refusal where it has none yet.
pub(super) fn worklist(site: &Site, job: &JobName, record: Option<JobRecord>) -> Result<WorklistRecord, Diagnosis> {
    record.and_then(|record| record.worklist).ok_or_else(|| {
        Diagnosis::refusal(
            codes::NO_WORKLIST,
            format!("{job} has no worklist yet, expected a job whose pass has pinned one"),
            match &site.config {
                Some(_) => format!("run it: `highwater run {job}`; `--dry-run` says what it would drain"),
                None => format!(
                    "call its `highwater exec` again, and look with {}",
                    call(site, format_args!("status {job}"))
                ),
            },
        )
    })
}

/// Reads the word of an outcome; `besides` are further words that the caller takes.
///
/// # Errors
/// A refusal with the word that was probably meant.
pub(super) fn outcome(word: &str, besides: &[&str]) -> Result<String, Diagnosis> {
    if OUTCOMES.contains(&word) {
        return Ok(word.to_owned());
    }
    let known = || OUTCOMES.iter().chain(besides).copied();
    let words: Vec<_> = known().map(|word| format!("`{word}`")).collect();
    let next = match suggestion(word, known()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "correct the word".to_owned(),
    };
    let message = format!("found the outcome {word:?}, expected one of {}", words.join(", "));
    Err(Diagnosis::refusal(codes::UNKNOWN_OUTCOME, message, next).at_field("--outcome"))
}

/// Reads keys, each once.
///
/// # Errors
/// A refusal of the first that cannot be one.
pub(super) fn keys(words: &[String], field: &str) -> Result<Vec<ItemKey>, Diagnosis> {
    let mut seen = HashSet::new();
    let keys = words.iter().filter(|word| seen.insert(word.as_str())).map(|word| {
        ItemKey::new(word.as_str()).map_err(|error| {
            let next = "write the key as it stands in the list";
            Diagnosis::refusal(codes::UNKNOWN_KEY, error.to_string(), next).at_field(field)
        })
    });
    keys.collect()
}

/// An item as programs read it.
#[derive(Serialize)]
struct Row<'a> {
    position: u64,
    key: &'a str,
    /// The word of DESIGN §2; none while untried.
    outcome: Option<&'static str>,
    attempts: u32,
    deferrals: u32,
    recorded_at: Option<Timestamp>,
    recorded_no: Option<u64>,
    pass: Option<i64>,
    detail: Option<&'a str>,
}

impl<'a> From<&'a ItemRecord> for Row<'a> {
    fn from(item: &'a ItemRecord) -> Self {
        Self {
            position: item.position,
            key: item.key.as_str(),
            outcome: item.outcome.map(OutcomeKind::word),
            attempts: item.attempts,
            deferrals: item.deferrals,
            recorded_at: item.recorded_at,
            recorded_no: item.recorded_no,
            pass: item.pass.map(|pass| pass.0),
            detail: item.detail.as_deref(),
        }
    }
}

/// How items are printed, page by page.
enum Shape {
    Table(Columns<6>),
    Csv { headed: bool },
    Json,
}

impl Shape {
    fn of(args: &Items, site: &Site) -> Self {
        match (args.csv, site.output.json) {
            (true, _) => Self::Csv { headed: false },
            (_, true) => Self::Json,
            _ => Self::Table(Columns::new(["position", "key", "outcome", "attempts", "recorded", "detail"])),
        }
    }

    fn page(&mut self, items: &[ItemRecord]) -> Result<Vec<u8>, Diagnosis> {
        match self {
            Self::Table(columns) => Ok(columns.page(&items.iter().map(cells).collect::<Vec<_>>()).into_bytes()),
            Self::Json => Ok(listing::json_lines(items.iter().map(Row::from))),
            Self::Csv { headed } => {
                let mut csv = csv::WriterBuilder::new().has_headers(!*headed).from_writer(Vec::new());
                *headed = true;
                for item in items {
                    csv.serialize(Row::from(item)).expect("invariant: a row is flat, and a Vec takes every write");
                }
                Ok(csv.into_inner().expect("invariant: a Vec takes every write"))
            }
        }
    }
}

fn cells(item: &ItemRecord) -> [String; 6] {
    let attempts = match item.deferrals {
        0 => item.attempts.to_string(),
        deferrals => format!("{} ({deferrals} deferred)", item.attempts),
    };
    [
        item.position.to_string(),
        line(item.key.as_str()),
        item.outcome.map_or("-", OutcomeKind::word).to_owned(),
        attempts,
        item.recorded_at.map_or_else(|| "-".to_owned(), |at| moment(at).to_string()),
        match (item.outcome, item.detail.as_deref().unwrap_or_default()) {
            // A person is to do what it says at its end.
            (Some(OutcomeKind::Review), detail) => one_line(detail).into_owned(),
            (_, detail) => line(detail),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, outcome: Option<OutcomeKind>, detail: Option<&str>) -> ItemRecord {
        ItemRecord {
            position: 7,
            key: ItemKey::new(key).unwrap(),
            outcome,
            detail: detail.map(str::to_owned),
            attempts: 1,
            deferrals: 2,
            recorded_at: outcome.map(|_| "2026-11-20T12:00:00.5Z".parse().unwrap()),
            recorded_no: outcome.map(|_| 3),
            pass: None,
        }
    }

    #[test]
    fn csv_quotes_what_rfc_4180_quotes_and_keeps_the_bytes() {
        let mut shape = Shape::Csv { headed: false };
        let odd = item("a,\"b\"\n\u{1b}c", Some(OutcomeKind::Failed), Some("said, \"no\""));
        let first = String::from_utf8(shape.page(&[odd]).unwrap()).unwrap();
        assert_eq!(
            first,
            "position,key,outcome,attempts,deferrals,recorded_at,recorded_no,pass,detail\n\
             7,\"a,\"\"b\"\"\n\u{1b}c\",retry,1,2,2026-11-20T12:00:00.5Z,3,,\"said, \"\"no\"\"\"\n"
        );
        let second = String::from_utf8(shape.page(&[item("d", None, None)]).unwrap()).unwrap();
        assert_eq!(second, "7,d,,1,2,,,,\n");
    }

    #[test]
    fn a_key_that_steers_a_terminal_is_escaped_in_the_table_and_whole_in_json() {
        let odd = item("a\u{1b}[2Jb\n", Some(OutcomeKind::Review), None);
        assert_eq!(cells(&odd)[1], "a\\u{1b}[2Jb\\n");
        assert_eq!(cells(&odd)[3], "1 (2 deferred)");
        let json = Shape::Json.page(&[odd]).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["key"], "a\u{1b}[2Jb\n");
        assert_eq!(json["outcome"], "review");
    }

    #[test]
    fn a_slip_in_an_outcome_is_suggested() {
        assert_eq!(outcome("review", &[]).unwrap(), "review");
        let refusal = outcome("reveiw", &[OPEN]).unwrap_err();
        assert_eq!(refusal.next, "did you mean `review`?");
        assert!(refusal.message.ends_with("`review`, `retry`, `open`"), "{}", refusal.message);
        assert!(outcome(OPEN, &[]).is_err());
    }

    #[test]
    fn a_key_that_is_given_twice_is_one() {
        let words = ["b", "a", "b"].map(str::to_owned);
        assert_eq!(keys(&words, "KEY").unwrap().iter().map(ItemKey::as_str).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(keys(&[String::new()], "KEY").unwrap_err().code, codes::UNKNOWN_KEY);
    }
}
