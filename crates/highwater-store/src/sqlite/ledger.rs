//! The trait, method by method: each hands owned values to the module that does it, in one transaction.

use std::time::Duration;

use async_trait::async_trait;
use highwater_engine::ban::Ban;
use highwater_engine::ledger::{
    Begin, Control, DonePage, DonePlace, End, Entry, Event, EventFilter, Fence, Holder, ItemFilter, ItemOrder,
    ItemRecord, JobRecord, Ledger, LedgerResult, Notice, OpenItem, PAGE_ROWS_MAX, PassRecord, Pin, PinMode, Recorded,
    ResourceRecord, Ticket, Word,
};
use highwater_engine::name::{ItemKey, JobName, PassId, ResourceName, WorklistId};
use highwater_engine::throttle::ThrottleState;
use highwater_engine::worklist::{Appended, NewItem, WorklistRecord};
use jiff::Timestamp;

use super::fault::Failure;
use super::notice::Change;
use super::record::Group;
use super::{
    SqliteLedger, done, event, fence, item, job, mend, notice, overrides, pass, pin, plan, prune, quarantine, record,
    resource, retry, seen, skip, watermark, worklist,
};

/// Pages of open items that are read again because damaged rows of them were set aside.
const REREADS_MAX: usize = 3;

#[async_trait]
impl Ledger for SqliteLedger {
    async fn register_job(&self, job: &JobName, kind: &str) -> LedgerResult<()> {
        const DOING: &str = "register the job";
        // Nearly always it is there, and then nothing needs to be written.
        if self.read(DOING, |db| job::row(db, job))?.is_some_and(|row| row.kind == kind) {
            return Ok(());
        }
        let (job, kind) = (job.clone(), kind.to_owned());
        self.write(DOING, move |db| job::register(db, &job, &kind)).await
    }

    async fn job(&self, job: &JobName) -> LedgerResult<Option<JobRecord>> {
        self.read("read the job", |db| job::get(db, job))
    }

    async fn jobs(&self) -> LedgerResult<Vec<JobRecord>> {
        self.read("read the jobs", job::all)
    }

    async fn halt_until(&self, job: &JobName, word: &Word, evidence: &str, until: Option<&str>) -> LedgerResult<bool> {
        self.told(word.at);
        let (job, word) = (job.clone(), word.clone());
        let (evidence, until) = (evidence.to_owned(), until.map(str::to_owned));
        self.write("halt the job", move |db| job::halt(db, &job, &word, &evidence, until.as_deref())).await
    }

    async fn rearm(&self, job: &JobName, word: &Word) -> LedgerResult<bool> {
        self.told(word.at);
        let (job, word) = (job.clone(), word.clone());
        self.write("re-arm the job", move |db| job::rearm(db, &job, &word)).await
    }

    async fn pause(&self, job: &JobName, word: &Word) -> LedgerResult<bool> {
        self.told(word.at);
        let (job, word) = (job.clone(), word.clone());
        self.write("pause the job", move |db| job::pause(db, &job, &word)).await
    }

    async fn resume(&self, job: &JobName, word: &Word) -> LedgerResult<bool> {
        self.told(word.at);
        let (job, word) = (job.clone(), word.clone());
        self.write("resume the job", move |db| job::resume(db, &job, &word)).await
    }

    async fn set_overrides(&self, job: &JobName, values: &[(String, String)], word: &Word) -> LedgerResult<()> {
        self.told(word.at);
        let (job, values, word) = (job.clone(), values.to_vec(), word.clone());
        self.write("set what was said of the job", move |db| overrides::set(db, &job, &values, &word)).await
    }

    async fn unset_overrides(&self, job: &JobName, keys: &[String], word: &Word) -> LedgerResult<Vec<String>> {
        self.told(word.at);
        let (job, keys, word) = (job.clone(), keys.to_vec(), word.clone());
        self.write("unset what was said of the job", move |db| overrides::unset(db, &job, &keys, &word)).await
    }

    async fn mark_drained(&self, job: &JobName, word: &Word) -> LedgerResult<()> {
        self.told(word.at);
        let (job, word) = (job.clone(), word.clone());
        self.write("mark the job drained", move |db| job::mark_drained(db, &job, &word)).await
    }

    async fn reopen_job(&self, job: &JobName, word: &Word) -> LedgerResult<()> {
        self.told(word.at);
        let (job, word) = (job.clone(), word.clone());
        self.write("open the job again", move |db| job::reopen(db, &job, &word)).await
    }

    async fn set_marker(&self, job: &JobName, marker: Option<&str>) -> LedgerResult<()> {
        const DOING: &str = "remember the marker";
        if self.read(DOING, |db| job::row(db, job))?.is_some_and(|row| row.marker.as_deref() == marker) {
            return Ok(());
        }
        let (job, marker) = (job.clone(), marker.map(str::to_owned));
        self.write(DOING, move |db| job::set_marker(db, &job, marker.as_deref())).await
    }

    async fn resource(&self, resource: &ResourceName) -> LedgerResult<ResourceRecord> {
        const DOING: &str = "read the resource";
        if let Some(record) = self.read(DOING, |db| resource::get(db, resource))? {
            return Ok(record);
        }
        if self.writer.is_some() {
            let resource = resource.clone();
            self.write(DOING, move |db| resource::ensure(db, &resource)).await?;
        }
        Ok(self.read(DOING, |db| resource::get(db, resource))?.unwrap_or_else(|| resource::unknown(resource)))
    }

    async fn resources(&self) -> LedgerResult<Vec<ResourceRecord>> {
        self.read("read the resources", resource::all)
    }

    async fn extend_ban(&self, resource: &ResourceName, until: Timestamp, word: &Word) -> LedgerResult<Ban> {
        self.told(word.at);
        let (resource, word) = (resource.clone(), word.clone());
        self.write("extend the ban", move |db| resource::extend_ban(db, &resource, until, &word)).await
    }

    async fn lift_ban(&self, resource: &ResourceName, word: &Word) -> LedgerResult<bool> {
        self.told(word.at);
        let (resource, word) = (resource.clone(), word.clone());
        self.write("lift the ban", move |db| resource::lift_ban(db, &resource, &word)).await
    }

    async fn leave_ticket(&self, resource: &ResourceName, ticket: &Ticket) -> LedgerResult<()> {
        let (resource, ticket) = (resource.clone(), ticket.clone());
        self.write("leave a ticket", move |db| resource::leave_ticket(db, &resource, &ticket)).await
    }

    async fn take_back_ticket(&self, resource: &ResourceName, host: &str, pid: u32, job: &JobName) -> LedgerResult<()> {
        let (resource, host, job) = (resource.clone(), host.to_owned(), job.clone());
        self.write("take back a ticket", move |db| resource::take_back_ticket(db, &resource, &host, pid, &job)).await
    }

    async fn tickets(&self, resource: &ResourceName, now: Timestamp) -> LedgerResult<Vec<Ticket>> {
        self.read("read the tickets", |db| resource::tickets(db, resource, now, PAGE_ROWS_MAX))
    }

    async fn begin_pass(&self, begin: &Begin) -> LedgerResult<PassId> {
        self.told(begin.at);
        let begin = begin.clone();
        self.write("begin the pass", move |db| pass::begin(db, &begin)).await
    }

    async fn take_epochs(&self, pass: PassId, resources: &[ResourceName], holder: &Holder) -> LedgerResult<Fence> {
        self.told(holder.since);
        let (resources, holder) = (resources.to_vec(), holder.clone());
        self.write("take the epochs", move |db| pass::take_epochs(db, pass, &resources, &holder)).await
    }

    async fn end_pass(&self, pass: PassId, end: &End) -> LedgerResult<()> {
        self.told(end.at);
        let end = end.clone();
        self.write("end the pass", move |db| pass::end(db, pass, &end)).await
    }

    async fn note_throttle(&self, pass: PassId, throttle: &ThrottleState) -> LedgerResult<()> {
        let throttle = throttle.clone();
        self.write("note the throttle", move |db| pass::note_throttle(db, pass, &throttle)).await
    }

    async fn passes(&self, job: &JobName, rows_max: usize) -> LedgerResult<Vec<PassRecord>> {
        self.read("read the passes", |db| pass::newest(db, job, rows_max.min(PAGE_ROWS_MAX)))
    }

    async fn passes_unended(&self, job: &JobName, before: PassId) -> LedgerResult<Vec<PassRecord>> {
        self.read("read the passes", |db| pass::unended(db, job, before, PAGE_ROWS_MAX))
    }

    async fn close_unended(&self, job: &JobName, before: PassId, at: Timestamp) -> LedgerResult<()> {
        self.told(at);
        let job = job.clone();
        self.write("close killed passes", move |db| pass::close_unended(db, &job, before, at)).await
    }

    async fn begin_worklist(
        &self,
        fence: &Fence,
        job: &JobName,
        mode: PinMode,
        at: Timestamp,
    ) -> LedgerResult<WorklistId> {
        const DOING: &str = "begin a worklist";
        self.told(at);
        let (fence, job) = (fence.clone(), job.clone());
        let unfinished = (fence.clone(), job.clone());
        self.write_until_done(DOING, move |db| pin::clear_unfinished(db, &unfinished.0, &unfinished.1)).await?;
        self.write(DOING, move |db| pin::begin(db, &fence, &job, mode, at)).await
    }

    async fn append_items(&self, fence: &Fence, worklist: WorklistId, items: &[NewItem]) -> LedgerResult<Appended> {
        let (fence, items) = (fence.clone(), items.to_vec());
        self.on_writer("add items", move |connection| pin::append(connection, &fence, worklist, &items)).await
    }

    async fn pin(&self, fence: &Fence, worklist: WorklistId, pin: &Pin, word: &Word) -> LedgerResult<WorklistRecord> {
        const DOING: &str = "pin the worklist";
        self.told(word.at);
        let (guard, pin, word) = (fence.clone(), pin.clone(), word.clone());
        let ours = guard.clone();
        self.on_writer(DOING, move |connection| pin::prepare(connection, &ours, worklist)).await?;
        let mut after = Vec::new();
        loop {
            let ours = guard.clone();
            let next =
                self.on_writer(DOING, move |connection| seen::index_batch(connection, &ours, worklist, &after)).await?;
            match next {
                Some(last) => after = last,
                None => break,
            }
        }
        let pinned = self.write(DOING, move |db| pin::pin(db, &guard, worklist, &pin, &word)).await?;
        self.on_writer(DOING, move |connection| seen::forget(connection, worklist)).await?;
        Ok(pinned)
    }

    async fn set_input_sign(&self, fence: &Fence, worklist: WorklistId, sign: &str) -> LedgerResult<()> {
        let (fence, sign) = (fence.clone(), sign.to_owned());
        self.write("note the input's sign", move |db| {
            fence::check(db, &fence)?;
            worklist::set_input_sign(db, worklist, &sign)
        })
        .await
    }

    async fn open_items(
        &self,
        worklist: WorklistId,
        pass: PassId,
        after: Option<(u32, u64)>,
        rows_max: usize,
    ) -> LedgerResult<Vec<OpenItem>> {
        const DOING: &str = "read open items";
        let rows_max = rows_max.min(PAGE_ROWS_MAX);
        let mut rereads = 0;
        loop {
            let page = self.read(DOING, |db| plan::open_items(db, worklist, pass, after, rows_max))?;
            // One who only reads takes a damaged row for none; so does one whose page is damaged again and again.
            if page.damaged.is_empty() && page.items.is_empty() && self.writer.is_some() && rereads == 0 {
                // The end of the list: what the figures call open must have been in it.
                if !self.read(DOING, |db| mend::agrees(db, worklist))? {
                    let at = self.last_told();
                    self.write(DOING, move |db| mend::items(db, worklist, at)).await?;
                }
                return Ok(page.items);
            }
            if page.damaged.is_empty() || self.writer.is_none() || rereads == REREADS_MAX {
                return Ok(page.items);
            }
            rereads += 1;
            let at = self.last_told();
            self.write(DOING, move |db| quarantine::open_items(db, worklist, at, &page.damaged)).await?;
        }
    }

    async fn record(
        &self,
        fence: &Fence,
        worklist: WorklistId,
        at: Timestamp,
        attempts_max: u32,
        entries: Vec<Entry>,
    ) -> LedgerResult<Recorded> {
        self.told(at);
        let group = Group { fence: fence.clone(), worklist, at, attempts_max, entries };
        self.write("record outcomes", move |db| record::record(db, group)).await
    }

    async fn seal_drained(
        &self,
        fence: &Fence,
        worklist: WorklistId,
        watermarks: &[(String, Timestamp)],
        word: &Word,
    ) -> LedgerResult<()> {
        self.told(word.at);
        let (fence, watermarks, word) = (fence.clone(), watermarks.to_vec(), word.clone());
        self.write("seal the worklist", move |db| {
            fence::check(db, &fence)?;
            job::seal_drained(db, worklist, &watermarks, &word)
        })
        .await
    }

    async fn watermark(&self, job: &JobName, name: &str) -> LedgerResult<Option<Timestamp>> {
        self.read("read the watermark", |db| watermark::get(db, job, name))
    }

    async fn stamp_watermark(&self, fence: &Fence, job: &JobName, name: &str, value: Timestamp) -> LedgerResult<()> {
        let (fence, job, name) = (fence.clone(), job.clone(), name.to_owned());
        self.write("stamp the watermark", move |db| {
            fence::check(db, &fence)?;
            job::ensure(db, &job)?;
            watermark::set(db, &job, &name, value)
        })
        .await
    }

    async fn items(
        &self,
        worklist: WorklistId,
        filter: &ItemFilter,
        order: ItemOrder,
        after: Option<u64>,
        rows_max: usize,
    ) -> LedgerResult<Vec<ItemRecord>> {
        self.read("read items", |db| item::list(db, worklist, filter, order, after, rows_max.min(PAGE_ROWS_MAX)))
    }

    async fn done_items(&self, job: &JobName, after: DonePlace, rows_max: usize) -> LedgerResult<DonePage> {
        self.read("read what is done", |db| done::list(db, job, after, rows_max.min(PAGE_ROWS_MAX)))
    }

    async fn retry_items(&self, job: &JobName, filter: &ItemFilter, word: &Word) -> LedgerResult<u64> {
        self.told(word.at);
        let (job, filter, word) = (job.clone(), filter.clone(), word.clone());
        self.write("put items back", move |db| retry::retry(db, &job, &filter, &word)).await
    }

    async fn skip_items(&self, job: &JobName, keys: &[ItemKey], word: &Word) -> LedgerResult<u64> {
        self.told(word.at);
        let (job, keys, word) = (job.clone(), keys.to_vec(), word.clone());
        self.write("skip items", move |db| skip::skip(db, &job, &keys, &word)).await
    }

    async fn control(&self, job: &JobName, resources: &[ResourceName]) -> LedgerResult<Control> {
        self.probe
            .control(job, resources)
            .map_err(|failure: Failure| failure.into_ledger(self.path(), "read what to obey"))
    }

    async fn events(&self, filter: &EventFilter, rows_max: usize) -> LedgerResult<Vec<Event>> {
        self.read("read events", |db| event::list(db, filter, rows_max.min(PAGE_ROWS_MAX)))
    }

    async fn add_event(
        &self,
        act: &str,
        job: Option<&JobName>,
        resource: Option<&ResourceName>,
        word: &Word,
    ) -> LedgerResult<()> {
        self.told(word.at);
        let (act, job, resource, word) = (act.to_owned(), job.cloned(), resource.cloned(), word.clone());
        self.write("add an event", move |db| event::add(db, &act, job.as_ref(), resource.as_ref(), &word)).await
    }

    async fn queue_notice(
        &self,
        job: &JobName,
        change: &str,
        change_key: &str,
        targets: &[u32],
        body: &str,
        at: Timestamp,
    ) -> LedgerResult<bool> {
        self.told(at);
        let change = Change { job: job.clone(), change: change.to_owned(), key: change_key.to_owned() };
        let (targets, body) = (targets.to_vec(), body.to_owned());
        self.write("queue a notice", move |db| notice::queue(db, &change, &targets, &body, at)).await
    }

    async fn claim_notices(&self, now: Timestamp, lease: Duration, rows_max: usize) -> LedgerResult<Vec<Notice>> {
        self.told(now);
        let rows_max = rows_max.min(PAGE_ROWS_MAX);
        self.write("claim notices", move |db| notice::claim(db, now, lease, rows_max)).await
    }

    async fn settle_notice(&self, no: i64, at: Timestamp, result: Result<(), (String, Timestamp)>) -> LedgerResult<()> {
        self.told(at);
        self.write("settle a notice", move |db| notice::settle(db, no, at, &result)).await
    }

    async fn notices_waiting(&self) -> LedgerResult<Vec<Notice>> {
        self.read("read notices", |db| notice::waiting(db, PAGE_ROWS_MAX))
    }

    async fn prune(&self, before: Timestamp, rows_max: usize) -> LedgerResult<u64> {
        self.write("forget what is old", move |db| prune::prune(db, before, rows_max)).await
    }
}
