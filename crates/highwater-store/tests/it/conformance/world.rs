//! A job with one resource and a pass that holds it, for the cases to act on.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::later;
use highwater_engine::ledger::{
    Begin, End, Entry, EventFilter, Fence, Holder, ItemFilter, ItemOrder, ItemRecord, JobRecord, Ledger, LedgerError,
    LedgerFault, PAGE_ROWS_MAX, Pin, PinMode, Recorded, Who, Word,
};
use highwater_engine::name::{ItemKey, JobName, PassId, ResourceName, WorklistId};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassCounts, Reason, Spent, StageTimes};
use highwater_engine::worklist::{NewItem, Tally, WorklistRecord};
use jiff::Timestamp;

use super::Home;

pub(crate) const ATTEMPTS_MAX: u32 = 5;
/// The job that a [`World`] drains.
pub(crate) const JOB: &str = "books";

/// So many seconds after the beginning of the test's time.
pub(crate) fn at(seconds: u64) -> Timestamp {
    later("2026-11-20T12:00:00Z".parse().unwrap(), Duration::from_secs(seconds))
}

pub(crate) fn word(seconds: u64, why: &str) -> Word {
    Word { at: at(seconds), who: Who("alice@desk".into()), why: why.into() }
}

pub(crate) fn job_name(name: &str) -> JobName {
    JobName::new(name).unwrap()
}

pub(crate) fn resource_name(name: &str) -> ResourceName {
    ResourceName::new(name).unwrap()
}

pub(crate) fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<ItemKey> {
    keys.into_iter().map(|key| ItemKey::new(key).unwrap()).collect()
}

/// Items whose payload is `of KEY`.
pub(crate) fn new_items<'a>(given: impl IntoIterator<Item = &'a str>) -> Vec<NewItem> {
    keys(given).into_iter().map(|key| NewItem { payload: format!("of {key}").into_bytes(), key }).collect()
}

pub(crate) fn numbered(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("item-{n:06}")).collect()
}

pub(crate) fn outcome(kind: OutcomeKind) -> Outcome {
    Outcome::because(kind, kind.word())
}

pub(crate) fn entry(position: u64, kind: OutcomeKind) -> Entry {
    Entry::Outcome { position, outcome: outcome(kind) }
}

pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> LedgerFault {
    result.unwrap_err().fault
}

pub(crate) fn a_pin(mode: PinMode) -> Pin {
    Pin { input: None, sha256: "5ha".into(), mode }
}

/// How a pass ended that recorded nothing.
pub(crate) fn an_end(seconds: u64) -> End {
    End {
        at: at(seconds),
        reason: Reason::Drained,
        exit: Reason::Drained.exit(),
        message: "nothing to do".into(),
        counts: PassCounts::default(),
        spent: Spent::default(),
        times: StageTimes::default(),
    }
}

pub(crate) struct World {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) job: JobName,
    pub(crate) resource: ResourceName,
    pub(crate) fence: Fence,
}

impl World {
    pub(crate) async fn new(home: &dyn Home) -> Self {
        Self::of_job(home.open().await, JOB).await
    }

    pub(crate) async fn of_job(ledger: Arc<dyn Ledger>, job: &str) -> Self {
        let (job, resource) = (job_name(job), ResourceName::of_job(&job_name(job)));
        ledger.register_job(&job, "exec").await.unwrap();
        let fence = begin_pass(&*ledger, &job, &resource, 0).await;
        Self { ledger, job, resource, fence }
    }

    /// Another pass takes over.
    pub(crate) async fn next_pass(&mut self) -> PassId {
        self.fence = begin_pass(&*self.ledger, &self.job, &self.resource, 1).await;
        self.fence.pass
    }

    pub(crate) async fn begin(&self, mode: PinMode) -> WorklistId {
        self.ledger.begin_worklist(&self.fence, &self.job, mode, at(1)).await.unwrap()
    }

    pub(crate) async fn append<'a>(&self, worklist: WorklistId, keys: impl IntoIterator<Item = &'a str>) {
        self.ledger.append_items(&self.fence, worklist, &new_items(keys)).await.unwrap();
    }

    pub(crate) async fn finish(&self, worklist: WorklistId, mode: PinMode) -> WorklistRecord {
        self.ledger.pin(&self.fence, worklist, &a_pin(mode), &word(2, "pinned")).await.unwrap()
    }

    /// Pins a worklist of these keys.
    pub(crate) async fn pin<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> WorklistId {
        let worklist = self.begin(PinMode::Begin).await;
        self.append(worklist, keys).await;
        self.finish(worklist, PinMode::Begin).await;
        worklist
    }

    /// Pins a worklist of so many numbered keys.
    pub(crate) async fn pin_numbered(&self, items: u64) -> WorklistId {
        let worklist = self.begin(PinMode::Begin).await;
        for batch in numbered(0..items).chunks(PAGE_ROWS_MAX) {
            self.append(worklist, batch.iter().map(String::as_str)).await;
        }
        self.finish(worklist, PinMode::Begin).await;
        worklist
    }

    pub(crate) async fn record(&self, worklist: WorklistId, entries: Vec<Entry>) -> Recorded {
        self.ledger.record(&self.fence, worklist, at(3), ATTEMPTS_MAX, entries).await.unwrap()
    }

    /// Gives the first items these outcomes.
    pub(crate) async fn record_kinds(&self, worklist: WorklistId, kinds: &[OutcomeKind]) -> Tally {
        let entries = (0..).zip(kinds).map(|(position, kind)| entry(position, *kind)).collect();
        self.record(worklist, entries).await.tally
    }

    pub(crate) async fn seal(&self, worklist: WorklistId) {
        self.ledger.seal_drained(&self.fence, worklist, &[], &word(4, "sealed")).await.unwrap();
    }

    pub(crate) async fn job(&self) -> JobRecord {
        self.ledger.job(&self.job).await.unwrap().unwrap()
    }

    pub(crate) async fn tally(&self) -> Tally {
        self.job().await.worklist.unwrap().tally
    }

    /// Keys of items that are open to the world's pass, in plan order.
    pub(crate) async fn open_keys(&self, worklist: WorklistId) -> Vec<String> {
        let items = self.ledger.open_items(worklist, self.fence.pass, None, PAGE_ROWS_MAX).await.unwrap();
        items.into_iter().map(|item| item.key.to_string()).collect()
    }

    pub(crate) async fn items(&self, worklist: WorklistId, filter: &ItemFilter) -> Vec<ItemRecord> {
        self.ledger.items(worklist, filter, ItemOrder::Position, None, PAGE_ROWS_MAX).await.unwrap()
    }

    /// What was done, oldest first.
    pub(crate) async fn acts(&self) -> Vec<String> {
        let events = self.ledger.events(&EventFilter::default(), PAGE_ROWS_MAX).await.unwrap();
        events.into_iter().map(|event| event.act).collect()
    }
}

pub(crate) async fn begin_pass(ledger: &dyn Ledger, job: &JobName, resource: &ResourceName, seconds: u64) -> Fence {
    let begin = Begin {
        job: job.clone(),
        at: at(seconds),
        host: "desk".into(),
        pid: 42,
        who: Who("cron".into()),
        budget_items: Some(500),
    };
    let pass = ledger.begin_pass(&begin).await.unwrap();
    let holder = Holder { host: begin.host, pid: begin.pid, since: begin.at, job: job.clone(), pass };
    ledger.take_epochs(pass, std::slice::from_ref(resource), &holder).await.unwrap()
}
