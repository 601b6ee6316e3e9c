//! A ledger in memory: the pinned worklist of one job, and what a pass asks besides. What a pass of these tests does not ask is answered
//! with an error, so that a pass that begins to ask it is seen.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use highwater_engine::ban::Ban;
use highwater_engine::ledger::*;
use highwater_engine::name::{ItemKey, JobName, LockEpoch, PassId, ResourceName, WorklistId};
use highwater_engine::throttle::ThrottleState;
use highwater_engine::worklist::{Appended, NewItem, Standing, Tally, WorklistRecord, WorklistState, settle};
use jiff::Timestamp;

use crate::house::linger;
use crate::trace::{Did, Trace};

/// Rows of a page, whatever more is asked for: so few that the feed reads ahead while items are in hand.
const PAGE_ROWS: usize = 3;
const PASS: PassId = PassId(1);
const WORKLIST: WorklistId = WorklistId(1);

/// An item's row.
struct Row {
    new: NewItem,
    standing: Standing,
    tried: bool,
}

/// What people and other passes do to the ledger while a pass runs.
#[derive(Default)]
struct Meanwhile {
    halted: bool,
    overrides: Arc<[Override]>,
    version: u64,
    /// A newer pass holds the resource, or the disk is full.
    refuses: Option<LedgerFault>,
}

/// The ledger.
pub(crate) struct Memory {
    job: JobName,
    trace: Arc<Trace>,
    rows: Mutex<(Vec<Row>, Tally)>,
    meanwhile: Mutex<Meanwhile>,
    /// Positions whose effect may have begun, for all the ledger knows.
    started: Mutex<BTreeSet<u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn not_asked<T>(what: &str) -> LedgerResult<T> {
    Err(LedgerError::new(LedgerFault::Other, format!("no pass of these tests asks for {what}")))
}

impl Memory {
    pub(crate) fn new(job: JobName, items: Vec<NewItem>, trace: Arc<Trace>) -> Self {
        let tally = Tally { total: items.len() as u64, ..Tally::default() };
        let rows = items.into_iter().map(|new| Row { new, standing: Standing::default(), tried: false });
        Self {
            job,
            trace,
            rows: Mutex::new((rows.collect(), tally)),
            meanwhile: Mutex::default(),
            started: Mutex::default(),
        }
    }

    /// A person sets how many are prepared at once.
    pub(crate) fn set_concurrency(&self, concurrency: usize) {
        let set = Override {
            key: "concurrency".to_owned(),
            value: concurrency.to_string(),
            at: Timestamp::UNIX_EPOCH,
            who: Who("alice@a".to_owned()),
            why: String::new(),
        };
        lock(&self.meanwhile).overrides = Arc::new([set]);
    }

    /// A person changes something about items: what was read ahead is stale.
    pub(crate) fn change_items(&self) {
        lock(&self.meanwhile).version += 1;
    }

    /// From now on nothing is recorded.
    pub(crate) fn refuse(&self, fault: LedgerFault) {
        lock(&self.meanwhile).refuses = Some(fault);
    }

    pub(crate) fn tally(&self) -> Tally {
        lock(&self.rows).1
    }

    /// Items of which the ledger would tell the next pass that their effect may have begun.
    pub(crate) fn started(&self) -> Vec<u64> {
        lock(&self.started).iter().copied().collect()
    }

    fn worklist(&self) -> WorklistRecord {
        WorklistRecord {
            id: WORKLIST,
            job: self.job.clone(),
            round: 1,
            state: WorklistState::Pinned,
            input: None,
            sha256: Some(String::new()),
            begun_at: Timestamp::UNIX_EPOCH,
            pinned_at: Some(Timestamp::UNIX_EPOCH),
            closed_at: None,
            tally: self.tally(),
        }
    }

    fn apply(&self, entries: Vec<Entry>, attempts_max: u32) -> Recorded {
        let mut rows = lock(&self.rows);
        let (rows, tally) = &mut *rows;
        let mut kinds = Vec::new();
        for entry in entries {
            match entry {
                Entry::Intent { position, intent } => {
                    if intent == Intent::Started {
                        lock(&self.started).insert(position);
                    } else {
                        lock(&self.started).remove(&position);
                    }
                    self.trace.note(Did::Intended(position, intent));
                }
                Entry::Withdraw { position } => {
                    lock(&self.started).remove(&position);
                }
                Entry::Outcome { position, outcome } => {
                    let row = &mut rows[usize::try_from(position).unwrap()];
                    assert!(!row.tried, "item {position} has two outcomes in one pass");
                    row.tried = true;
                    lock(&self.started).remove(&position);
                    let recorded = settle(&mut row.standing, tally, outcome, attempts_max);
                    self.trace.note(Did::Recorded(position, recorded.kind));
                    kinds.push(recorded.kind);
                }
            }
        }
        Recorded { tally: *tally, kinds }
    }
}

#[async_trait]
impl Ledger for Memory {
    async fn register_job(&self, _: &JobName, _: &str) -> LedgerResult<()> {
        Ok(())
    }

    async fn job(&self, job: &JobName) -> LedgerResult<Option<JobRecord>> {
        Ok(Some(JobRecord {
            name: job.clone(),
            kind: "lot".to_owned(),
            state: JobState::Active,
            halt: None,
            paused: None,
            overrides: Vec::new(),
            worklist: Some(self.worklist()),
            last_pass: None,
            last_drained_at: None,
            marker: None,
            quarantined: None,
        }))
    }

    async fn halt_until(&self, _: &JobName, _: &Word, _: &str, _: Option<&str>) -> LedgerResult<bool> {
        linger().await;
        Ok(!std::mem::replace(&mut lock(&self.meanwhile).halted, true))
    }

    async fn resource(&self, resource: &ResourceName) -> LedgerResult<ResourceRecord> {
        Ok(ResourceRecord { name: resource.clone(), epoch: LockEpoch(0), holder: None, ban: None })
    }

    async fn tickets(&self, _: &ResourceName, _: Timestamp) -> LedgerResult<Vec<Ticket>> {
        Ok(Vec::new())
    }

    async fn begin_pass(&self, _: &Begin) -> LedgerResult<PassId> {
        Ok(PASS)
    }

    async fn take_epochs(&self, pass: PassId, names: &[ResourceName], _: &Holder) -> LedgerResult<Fence> {
        Ok(Fence { pass, epochs: names.iter().map(|name| (name.clone(), LockEpoch(1))).collect() })
    }

    async fn end_pass(&self, _: PassId, _: &End) -> LedgerResult<()> {
        Ok(())
    }

    async fn passes_unended(&self, _: &JobName, _: PassId) -> LedgerResult<Vec<PassRecord>> {
        Ok(Vec::new())
    }

    async fn open_items(
        &self,
        _: WorklistId,
        _: PassId,
        after: Option<(u32, u64)>,
        rows_max: usize,
    ) -> LedgerResult<Vec<OpenItem>> {
        linger().await;
        let rows = lock(&self.rows);
        let mut open: Vec<OpenItem> = (0..)
            .zip(&rows.0)
            .filter(|(_, row)| !row.tried)
            .map(|(position, row)| OpenItem {
                position,
                rank: row.standing.rank(),
                key: row.new.key.clone(),
                payload: row.new.payload.clone(),
                attempts: row.standing.attempts,
                intent: None,
            })
            .filter(|item| after.is_none_or(|after| (item.rank, item.position) > after))
            .collect();
        open.sort_by_key(|item| (item.rank, item.position));
        open.truncate(rows_max.min(PAGE_ROWS));
        Ok(open)
    }

    async fn record(
        &self,
        _: &Fence,
        _: WorklistId,
        _: Timestamp,
        attempts_max: u32,
        entries: Vec<Entry>,
    ) -> LedgerResult<Recorded> {
        linger().await;
        let refuses = lock(&self.meanwhile).refuses;
        if let Some(fault) = refuses {
            self.trace.note(Did::Refused);
            return Err(LedgerError::new(fault, "refused"));
        }
        let recorded = self.apply(entries, attempts_max);
        linger().await;
        Ok(recorded)
    }

    async fn seal_drained(&self, _: &Fence, _: WorklistId, _: &[(String, Timestamp)], _: &Word) -> LedgerResult<()> {
        assert_eq!(self.tally().open(), 0, "sealed with open items");
        Ok(())
    }

    async fn control(&self, _: &JobName, _: &[ResourceName]) -> LedgerResult<Control> {
        linger().await;
        let Meanwhile { halted, overrides, version, .. } = &*lock(&self.meanwhile);
        let (halted, version) = (*halted, *version);
        Ok(Control { halted, overrides: Arc::clone(overrides), version, ..Control::default() })
    }

    // ── what no pass here asks ──

    async fn jobs(&self) -> LedgerResult<Vec<JobRecord>> {
        not_asked("jobs")
    }
    async fn rearm(&self, _: &JobName, _: &Word) -> LedgerResult<bool> {
        not_asked("rearm")
    }
    async fn pause(&self, _: &JobName, _: &Word) -> LedgerResult<bool> {
        not_asked("pause")
    }
    async fn resume(&self, _: &JobName, _: &Word) -> LedgerResult<bool> {
        not_asked("resume")
    }
    async fn set_overrides(&self, _: &JobName, _: &[(String, String)], _: &Word) -> LedgerResult<()> {
        not_asked("set_overrides")
    }
    async fn unset_overrides(&self, _: &JobName, _: &[String], _: &Word) -> LedgerResult<Vec<String>> {
        not_asked("unset_overrides")
    }
    async fn mark_drained(&self, _: &JobName, _: &Word) -> LedgerResult<()> {
        not_asked("mark_drained")
    }
    async fn reopen_job(&self, _: &JobName, _: &Word) -> LedgerResult<()> {
        not_asked("reopen_job")
    }
    async fn set_marker(&self, _: &JobName, _: Option<&str>) -> LedgerResult<()> {
        not_asked("set_marker")
    }
    async fn resources(&self) -> LedgerResult<Vec<ResourceRecord>> {
        not_asked("resources")
    }
    async fn extend_ban(&self, _: &ResourceName, _: Timestamp, _: &Word) -> LedgerResult<Ban> {
        not_asked("extend_ban")
    }
    async fn lift_ban(&self, _: &ResourceName, _: &Word) -> LedgerResult<bool> {
        not_asked("lift_ban")
    }
    async fn leave_ticket(&self, _: &ResourceName, _: &Ticket) -> LedgerResult<()> {
        not_asked("leave_ticket")
    }
    async fn take_back_ticket(&self, _: &ResourceName, _: &str, _: u32, _: &JobName) -> LedgerResult<()> {
        not_asked("take_back_ticket")
    }
    async fn passes(&self, _: &JobName, _: usize) -> LedgerResult<Vec<PassRecord>> {
        not_asked("passes")
    }
    async fn note_throttle(&self, _: PassId, _: &ThrottleState) -> LedgerResult<()> {
        not_asked("note_throttle")
    }
    async fn close_unended(&self, _: &JobName, _: PassId, _: Timestamp) -> LedgerResult<()> {
        not_asked("close_unended")
    }
    async fn begin_worklist(&self, _: &Fence, _: &JobName, _: PinMode, _: Timestamp) -> LedgerResult<WorklistId> {
        not_asked("begin_worklist")
    }
    async fn append_items(&self, _: &Fence, _: WorklistId, _: &[NewItem]) -> LedgerResult<Appended> {
        not_asked("append_items")
    }
    async fn pin(&self, _: &Fence, _: WorklistId, _: &Pin, _: &Word) -> LedgerResult<WorklistRecord> {
        not_asked("pin")
    }
    async fn set_input_sign(&self, _: &Fence, _: WorklistId, _: &str) -> LedgerResult<()> {
        not_asked("set_input_sign")
    }
    async fn watermark(&self, _: &JobName, _: &str) -> LedgerResult<Option<Timestamp>> {
        not_asked("watermark")
    }
    async fn stamp_watermark(&self, _: &Fence, _: &JobName, _: &str, _: Timestamp) -> LedgerResult<()> {
        not_asked("stamp_watermark")
    }
    async fn items(
        &self,
        _: WorklistId,
        _: &ItemFilter,
        _: ItemOrder,
        _: Option<u64>,
        _: usize,
    ) -> LedgerResult<Vec<ItemRecord>> {
        not_asked("items")
    }
    async fn done_items(&self, _: &JobName, _: DonePlace, _: usize) -> LedgerResult<DonePage> {
        not_asked("done_items")
    }
    async fn retry_items(&self, _: &JobName, _: &ItemFilter, _: &Word) -> LedgerResult<u64> {
        not_asked("retry_items")
    }
    async fn skip_items(&self, _: &JobName, _: &[ItemKey], _: &Word) -> LedgerResult<u64> {
        not_asked("skip_items")
    }
    async fn events(&self, _: &EventFilter, _: usize) -> LedgerResult<Vec<Event>> {
        not_asked("events")
    }
    async fn add_event(&self, _: &str, _: Option<&JobName>, _: Option<&ResourceName>, _: &Word) -> LedgerResult<()> {
        not_asked("add_event")
    }
    async fn queue_notice(
        &self,
        _: &JobName,
        _: &str,
        _: &str,
        _: &[u32],
        _: &str,
        _: Timestamp,
    ) -> LedgerResult<bool> {
        not_asked("queue_notice")
    }
    async fn claim_notices(&self, _: Timestamp, _: Duration, _: usize) -> LedgerResult<Vec<Notice>> {
        not_asked("claim_notices")
    }
    async fn settle_notice(&self, _: i64, _: Timestamp, _: Result<(), (String, Timestamp)>) -> LedgerResult<()> {
        not_asked("settle_notice")
    }
    async fn notices_waiting(&self) -> LedgerResult<Vec<Notice>> {
        not_asked("notices_waiting")
    }
    async fn prune(&self, _: Timestamp, _: usize) -> LedgerResult<u64> {
        not_asked("prune")
    }
}
