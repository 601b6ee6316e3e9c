//! Taking over an older backfill: its JSON state and the lists beside it become a worklist with outcomes, so that no record is
//! asked for twice. Owns how that state is read; the worklist and the outcomes are written by a pass like any other.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{Stream, TryStreamExt as _, stream};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use serde_json::Value;

use super::MissingRecord;
use crate::discover::Crawling;
use crate::identifier::{Namespace, beginning};
use crate::snapshot::{self, SnapshotFiles, json_fault};
use crate::spool::Spool;

/// The largest state that is read, in bytes.
const STATE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The names under which older programs kept outcomes by identifier.
const OUTCOMES: [&str; 5] = ["outcomes", "items", "records", "results", "ids"];

/// What an older backfill left.
#[derive(Debug)]
pub struct OldState {
    /// Its worklist, in order, without the prefix.
    ids: Vec<String>,
    outcomes: HashMap<String, Outcome>,
    /// Its lists of active and deleted identifiers, where both are there.
    pub lists: Option<SnapshotFiles>,
    /// Outcomes of identifiers that its worklist does not have; they are left out.
    pub strangers: u64,
}

impl OldState {
    /// Reads `STATE.json` and `STATE.ids` beside it.
    ///
    /// # Errors
    /// A refusal that names file, line or identifier.
    pub fn read(path: &Path, namespace: &Namespace) -> Result<Self, Diagnosis> {
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let beside = |ending: &str| {
            let replaced = path.with_extension(ending);
            let mut appended = path.as_os_str().to_owned();
            appended.push(format!(".{ending}"));
            let appended = PathBuf::from(appended);
            if !replaced.exists() && appended.exists() { appended } else { replaced }
        };
        let judged = read_outcomes(path)?;
        let ids = read_ids(&beside("ids"), namespace)?;
        let known: HashMap<&str, ()> = ids.iter().map(|id| (id.as_str(), ())).collect();
        let mut strangers = 0;
        let mut outcomes = HashMap::new();
        for (id, outcome) in judged {
            let Some(local) = namespace.local_or_bare(&id) else {
                return Err(refused(path, format!("found {id:?}, expected an identifier")));
            };
            match outcome {
                Some(outcome) if known.contains_key(local) => drop(outcomes.insert(local.to_owned(), outcome)),
                Some(_) => strangers += 1,
                None => {}
            }
        }
        let lists =
            SnapshotFiles { active: beside("active"), deleted: beside("deleted"), manifest: beside("manifest.json") };
        let lists = Some(lists).filter(|lists| lists.active.exists() && lists.deleted.exists());
        Ok(Self { ids, outcomes, lists, strangers })
    }

    /// How many items it has, and how many of them have an outcome.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.ids.len() as u64, self.outcomes.len() as u64)
    }
}

fn refused(path: &Path, message: String) -> Diagnosis {
    Diagnosis::refusal(
        "HW-OAI-013",
        message,
        "name the JSON file that the older backfill kept, with its `.ids` beside it; nothing was taken over",
    )
    .in_file(path)
}

fn read_ids(path: &Path, namespace: &Namespace) -> Result<Vec<String>, Diagnosis> {
    let file = File::open(path)
        .map_err(|e| refused(path, format!("it cannot be read: {e}; expected the older backfill's worklist")))?;
    let mut ids = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1u64..) {
        let line = line.map_err(|e| {
            let what = match e.kind() {
                std::io::ErrorKind::InvalidData => "found bytes that are no UTF-8, expected an identifier".to_owned(),
                _ => format!("it cannot be read: {e}"),
            };
            refused(path, what).at_line(number)
        })?;
        let text = line.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        match namespace.local_or_bare(text) {
            Some(local) => ids.push(local.to_owned()),
            None => {
                let text = beginning(text);
                return Err(refused(path, format!("found {text:?}, expected an identifier without white space"))
                    .at_line(number));
            }
        }
    }
    if ids.is_empty() {
        return Err(refused(path, "found no identifier, expected the older backfill's worklist".to_owned()));
    }
    Ok(ids)
}

/// Outcomes by identifier; `None` for one that is to be tried again.
fn read_outcomes(path: &Path) -> Result<Vec<(String, Option<Outcome>)>, Diagnosis> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| refused(path, format!("it cannot be read: {e}")))?;
    file.take(STATE_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| refused(path, format!("it cannot be read: {e}")))?;
    let state: Value = serde_json::from_slice(&bytes).map_err(|e| {
        refused(path, format!("found {}; expected JSON", json_fault(&e)))
            .at_line(u64::try_from(e.line()).unwrap_or_default().max(1))
    })?;
    let held = OUTCOMES.iter().find_map(|name| state.get(name).filter(|held| held.is_object() || held.is_array()));
    match held {
        Some(Value::Object(by_id)) => {
            by_id.iter().map(|(id, outcome)| Ok((id.clone(), judged(path, id, outcome)?))).collect()
        }
        Some(Value::Array(rows)) => rows.iter().map(|row| row_of(path, row)).collect(),
        _ => Err(refused(
            path,
            format!("found no outcomes by identifier; expected them under one of {}", OUTCOMES.join(", ")),
        )),
    }
}

fn row_of(path: &Path, row: &Value) -> Result<(String, Option<Outcome>), Diagnosis> {
    let id = ["id", "identifier", "key"].iter().find_map(|name| row.get(name)?.as_str());
    let id = id.ok_or_else(|| refused(path, format!("found {row}, expected an object with an `id`")))?;
    Ok((id.to_owned(), judged(path, id, row)?))
}

/// What an older outcome is here.
fn judged(path: &Path, id: &str, outcome: &Value) -> Result<Option<Outcome>, Diagnosis> {
    let field = |names: &[&str]| names.iter().find_map(|name| outcome.get(name)?.as_str());
    let Some(word) = outcome.as_str().or_else(|| field(&["outcome", "status", "result"])) else {
        if outcome.is_null() {
            return Ok(None);
        }
        return Err(refused(path, format!("found {outcome} for {id}, expected a word")));
    };
    let kind = match word {
        "ok" | "done" | "loaded" => OutcomeKind::Done,
        "present_locally" | "present" => OutcomeKind::Present,
        "gone" | "deleted" | "not_found" => OutcomeKind::Gone,
        "error_review" | "review" => OutcomeKind::Review,
        "pending" | "retry" | "error" | "error_retry" | "" => return Ok(None),
        other => {
            return Err(refused(
                path,
                format!(
                    "found the outcome {other:?} for {id}, expected ok, present_locally, gone, error_review, or pending, retry, error \
                     for what is to be tried again"
                ),
            ));
        }
    };
    let said = field(&["detail", "error", "reason", "message"]).filter(|said| !said.is_empty());
    let detail = match (kind, said) {
        (_, Some(said)) => Some(said.to_owned()),
        (OutcomeKind::Review, None) => Some("taken over without a reason".to_owned()),
        _ => None,
    };
    Ok(Some(detail.map_or_else(|| Outcome::plain(kind), |detail| Outcome::because(kind, detail))))
}

/// Pins an older backfill's worklist and records its outcomes, without any contact. What has no outcome stays open.
#[derive(Debug)]
pub struct TakeOver {
    state: Arc<OldState>,
    crawling: Crawling,
    spool_path: PathBuf,
}

impl TakeOver {
    /// Takes this state over; its lists become the crawl of the spool at this path.
    #[must_use]
    pub fn new(state: OldState, crawling: Crawling, spool_path: PathBuf) -> Self {
        Self { state: Arc::new(state), crawling, spool_path }
    }

    /// Its lists in place of the crawl that is there.
    async fn take_lists(&self, cx: &ReadCx) -> Result<(), Stop> {
        let Some(lists) = self.state.lists.clone().filter(|_| cx.pass.is_some()) else { return Ok(()) };
        let now = cx.clock.now();
        let spool = Spool::open(&self.spool_path, now)?;
        snapshot::import(&spool, &self.crawling, lists, now).await.map(drop).map_err(Stop::Fail)
    }
}

impl Job for TakeOver {
    type Item = MissingRecord;
    type Prepared = ();

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<MissingRecord, Stop>> + Send {
        let state = Arc::clone(&self.state);
        stream::once(async move { self.take_lists(&cx).await })
            .map_ok(move |()| {
                let state = Arc::clone(&state);
                stream::iter((0..state.ids.len()).map(move |at| MissingRecord::new(&state.ids[at])))
            })
            .try_flatten()
    }

    fn in_scope(&self, item: &MissingRecord) -> bool {
        self.state.outcomes.contains_key(item.local())
    }

    async fn prepare(&self, _: ReadCx, item: Arc<MissingRecord>) -> Result<Attempt<()>, Stop> {
        let outcome = self.state.outcomes.get(item.local()).cloned();
        Ok(Attempt::Outcome(outcome.unwrap_or_else(|| Outcome::because(OutcomeKind::Deferred, "not taken over"))))
    }

    async fn commit(&self, _: &mut CommitCx, _: &MissingRecord, (): ()) -> Result<Outcome, Stop> {
        Ok(Outcome::done())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    fn state(json: &str, ids: &str) -> Result<OldState, Diagnosis> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backfill.json");
        std::fs::write(&path, json).unwrap();
        std::fs::write(dir.path().join("backfill.ids"), ids).unwrap();
        OldState::read(&path, &Namespace::new(Some("oai:x:")))
    }

    #[test]
    fn older_words_become_outcomes_and_what_was_to_be_tried_stays_open() {
        let json = r#"{"version": 1, "outcomes": {"a/1": "ok", "oai:x:a/2": {"outcome": "present_locally"},
            "a/3": {"status": "error_review", "error": "no title"}, "a/4": "error", "a/9": "ok"}}"#;
        let state = state(json, "a/1\noai:x:a/2\na/3\na/4\na/5\n").unwrap();
        assert_eq!((state.counts(), state.strangers), ((5, 3), 1));
        assert_eq!(state.outcomes["a/1"].kind, OutcomeKind::Done);
        assert_eq!(state.outcomes["a/2"].kind, OutcomeKind::Present);
        assert_eq!(state.outcomes["a/3"], Outcome::because(OutcomeKind::Review, "no title"));
    }

    #[test]
    fn what_is_no_such_state_is_refused_with_what_was_found() {
        for (json, ids, found) in [
            ("{", "a/1\n", "expected JSON"),
            ("{}", "a/1\n", "found no outcomes"),
            (r#"{"outcomes": {"a/1": "okay"}}"#, "a/1\n", "\"okay\""),
            (r#"{"outcomes": {"a/1": "ok"}}"#, "", "found no identifier"),
            (r#"{"outcomes": {"a/1": "ok"}}"#, "a/1\na b\n", "\"a b\""),
            (r#"{"outcomes": [{"outcome": "ok"}]}"#, "a/1\n", "an `id`"),
        ] {
            let refused = state(json, ids).unwrap_err();
            assert!(refused.code == "HW-OAI-013" && refused.message.contains(found), "{refused}");
        }
    }
}
