//! What waits for a person, documents and halted jobs, of what the ledger says that is kept beside a base. Owns which of its outcomes are still the last
//! word on a document: each call of `kb add` is a job of its own, and what one of them left another may have settled since.

use std::collections::{BTreeMap, BTreeSet};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{ItemFilter, ItemOrder, ItemRecord, Ledger, PAGE_ROWS_MAX};
use highwater_engine::name::{ItemKey, JobName, PassId, WorklistId};
use highwater_engine::outcome::OutcomeKind;
use highwater_kb::status::Status;
use highwater_kb::{FilePath, Origin};
use jiff::Timestamp;

use super::pass::ledger_of;
use super::place::Place;
use crate::cli::Global;
use crate::site::Site;

/// How many documents of a job are looked at that were for a person to look at; what is more is counted as it is.
const LOOKED_MAX: usize = 10_000;

/// What waits for a person.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// How many documents.
    pub(super) count: u64,
    /// The jobs whose lists have them, by name.
    pub(super) jobs: BTreeSet<JobName>,
    /// One of them, where it is the only one.
    pub(super) only: Option<ItemKey>,
    /// The jobs that take in nothing until a person re-arms them, and why.
    pub(super) halted: Vec<(JobName, String)>,
}

/// A document that a job says is for a person to look at.
struct Said {
    job: JobName,
    when: (Option<Timestamp>, Option<PassId>),
    why: Option<String>,
}

/// Looks which wait. A base to which nothing was added by command has no ledger, and is not given one.
pub(super) async fn waiting(place: &Place, status: &Status, global: &Global) -> Result<Waiting, Diagnosis> {
    let path = ledger_of(&place.root, global);
    if !path.is_file() {
        return Ok(Waiting::default());
    }
    let site = Site::beside(global, path)?;
    let glance = site.ledger_to_read()?;
    let ledger = &*glance.ledger;
    let (mut said, mut waiting, mut lists) = (BTreeMap::new(), Waiting::default(), Vec::new());
    for job in ledger.jobs().await? {
        waiting.halted.extend(job.halt.map(|halt| (job.name.clone(), halt.why)));
        let Some(list) = job.worklist else { continue };
        if list.tally.review > 0 {
            let looked = gather(ledger, &job.name, list.id, &mut said).await?;
            let more = list.tally.review.saturating_sub(looked);
            waiting.count += more;
            waiting.jobs.extend((more > 0).then(|| job.name.clone()));
        }
        lists.push(list.id);
    }
    let keys: Vec<ItemKey> = said.keys().cloned().collect();
    for list in lists.into_iter().filter(|_| !keys.is_empty()) {
        for keys in keys.chunks(PAGE_ROWS_MAX) {
            let filter = ItemFilter::Keys(keys.to_vec());
            for item in ledger.items(list, &filter, ItemOrder::Position, None, PAGE_ROWS_MAX).await? {
                let is_settled = item.outcome.is_some_and(|kind| kind != OutcomeKind::Review)
                    && said.get(&item.key).is_some_and(|said: &Said| said.when < when(&item));
                if is_settled {
                    said.remove(&item.key);
                }
            }
        }
    }
    said.retain(|key, said| is_there(key) && !is_ended(said, status));
    if let (0, 1, Some(key)) = (waiting.count, said.len(), said.keys().next()) {
        waiting.only = Some(key.clone());
    }
    waiting.count += said.len() as u64;
    waiting.jobs.extend(said.into_values().map(|said| said.job));
    Ok(waiting)
}

/// Takes in what a job says; of one document only the newest. Says how much there was of it.
async fn gather(
    ledger: &dyn Ledger,
    job: &JobName,
    list: WorklistId,
    said: &mut BTreeMap<ItemKey, Said>,
) -> Result<u64, Diagnosis> {
    let (filter, mut after, mut looked) = (ItemFilter::Outcome("review".to_owned()), None, 0);
    while looked < LOOKED_MAX {
        let items = ledger.items(list, &filter, ItemOrder::Position, after, PAGE_ROWS_MAX).await?;
        let Some(last) = items.last() else { break };
        after = Some(last.position);
        looked += items.len();
        for item in items {
            let when = when(&item);
            if said.get(&item.key).is_none_or(|other| other.when < when) {
                said.insert(item.key, Said { job: job.clone(), when, why: item.detail });
            }
        }
    }
    Ok(looked as u64)
}

/// When an outcome was recorded; of two at one moment the later pass is the later.
fn when(item: &ItemRecord) -> (Option<Timestamp>, Option<PassId>) {
    (item.recorded_at, item.pass)
}

/// Whether there is something to look at: a file that is gone is no document any more.
fn is_there(key: &ItemKey) -> bool {
    let file = Origin::try_from(key.as_str().to_owned()).ok().and_then(|origin| origin.file());
    file.is_none_or(|file| file.try_exists().unwrap_or(true))
}

/// Whether it was for a conflict that is ended.
fn is_ended(said: &Said, status: &Status) -> bool {
    let of: Option<FilePath> = said.why.as_deref().and_then(highwater_kb::add::conflict_of);
    of.is_some_and(|of| status.names_all_open() && status.open.binary_search(&of).is_err())
}
