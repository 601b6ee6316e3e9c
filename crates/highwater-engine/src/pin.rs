//! Pinning: from what a job lists to a worklist that is whole, hashed and fixed (R6). Owns the check of a given input against
//! its pin, and what a dry run says of the list.

mod extension;

use std::fmt;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use crate::contact::Urgency;
use crate::diagnosis::Diagnosis;
use crate::job::{Job, ReadCx, Stop, WorkItem};
use crate::ledger::{Fence, PinMode, Word};
use crate::name::PassId;
use crate::pass::Engine;
use crate::report::{Reason, counted};
use crate::worklist::{Appended, Input, NewItem, WorklistRecord, repeated};

pub(crate) use extension::{extend, takes_more};

/// Items written in one transaction while a worklist is discovered.
pub(crate) const PIN_BATCH_ITEMS: usize = 1000;
/// Keys that a dry run names.
const NAMED_ITEMS: usize = 5;
/// Items of which a dry run says what is known of them.
const ESTIMATED_ITEMS: usize = 200;

/// Lists what there is to do and pins it.
pub(crate) async fn pin<J: Job>(
    engine: &Engine,
    job: &Arc<J>,
    cx: &ReadCx,
    fence: &Fence,
    mode: PinMode,
    notes: &mut Vec<String>,
) -> Result<WorklistRecord, Stop> {
    let input = job.input(cx, None).await?;
    let worklist = engine.ledger.begin_worklist(fence, &cx.job, mode, engine.clock.now()).await?;
    let mut hash = Sha256::new();
    let mut sum = Appended::default();
    {
        let plan = job.plan(cx.clone()).fuse();
        futures::pin_mut!(plan);
        while let Some(batch) = next_batch::<J>(cx, &mut plan, &mut hash).await? {
            let appended = engine.ledger.append_items(fence, worklist, &batch).await?;
            sum.added += appended.added;
            sum.duplicates += appended.duplicates;
            sum.conflicts += appended.conflicts;
            sum.conflict = sum.conflict.or(appended.conflict);
        }
    }
    let after = job.input(cx, None).await?;
    if let (Some(before), Some(after)) = (&input, &after)
        && before.sha256 != after.sha256
    {
        return Err(Stop::Fail(
            Diagnosis::refusal(
                "HW-WRK-002",
                format!("it changed while it was read (SHA-256 {} before, {} after)", before.sha256, after.sha256),
                "let the program that writes it finish (write beside it, then rename), and call again",
            )
            .in_file(&before.source),
        ));
    }
    let pin = crate::ledger::Pin { input: after, sha256: hex::encode(hash.finalize()), mode };
    let why = pin.input.as_ref().map_or_else(|| "discovered".to_owned(), |input| input.source.clone());
    let word = Word {
        at: engine.clock.now(),
        who: engine.who.clone(),
        why: format!("{} from {why}", counted(sum.added, "item")),
    };
    let pinned = engine.ledger.pin(fence, worklist, &pin, &word).await?;
    if mode != PinMode::Extend && sum.duplicates > 0 {
        notes.push(repeated(sum.duplicates));
    }
    if let (Some(key), true) = (&sum.conflict, mode != PinMode::Extend) {
        notes.push(format!(
            "{} of them had other fields than the first time, which stands; the first is {key}: if they are items of their own, name another `key`",
            sum.conflicts
        ));
    }
    Ok(pinned)
}

/// The next items of a plan; `None` at its end.
async fn next_batch<J: Job>(
    cx: &ReadCx,
    plan: &mut (impl Stream<Item = Result<J::Item, Stop>> + Unpin),
    hash: &mut Sha256,
) -> Result<Option<Vec<NewItem>>, Stop> {
    let mut batch = Vec::new();
    while batch.len() < PIN_BATCH_ITEMS {
        let Some(item) = plan.next().await else { break };
        let item = item?;
        let new = NewItem { key: item.key(), payload: item.encode() };
        for part in [new.key.as_str().as_bytes(), &new.payload] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        batch.push(new);
    }
    if batch.is_empty() {
        return Ok(None);
    }
    if cx.stop().urgency() > Urgency::None {
        let why = "stopped by a signal while the worklist was read; it is read anew";
        return Err(Stop::checkpoint(Reason::Stopped, why));
    }
    Ok(Some(batch))
}

/// Refuses a pinned worklist whose given input is no longer what it was.
pub(crate) async fn refuse_changed<J: Job>(
    engine: &Engine,
    job: &J,
    cx: &ReadCx,
    handle: &str,
    fence: Option<&Fence>,
    worklist: &WorklistRecord,
) -> Result<(), Stop> {
    let Some(pinned) = &worklist.input else { return Ok(()) };
    let Some(now) = job.input(cx, Some(pinned)).await? else { return Ok(()) };
    compare(cx, handle, pinned, &now)?;
    if let (Some(fence), true) = (fence, now.sign != pinned.sign) {
        engine.ledger.set_input_sign(fence, worklist.id, &now.sign).await?;
    }
    Ok(())
}

/// The same for a drained one, whose input may be gone: then there is nothing that could have been missed.
pub(crate) async fn refuse_changed_if_there<J: Job>(
    engine: &Engine,
    job: &J,
    cx: &ReadCx,
    handle: &str,
    worklist: &WorklistRecord,
) -> Result<(), Stop> {
    let gone = worklist.input.as_ref().is_some_and(|input| !std::path::Path::new(&input.source).exists());
    if gone { Ok(()) } else { refuse_changed(engine, job, cx, handle, None, worklist).await }
}

fn compare(cx: &ReadCx, handle: &str, pinned: &Input, now: &Input) -> Result<(), Diagnosis> {
    if now.source == pinned.source && now.sha256 == pinned.sha256 {
        return Ok(());
    }
    let job = &cx.job;
    let moved = if now.source == pinned.source { String::new() } else { format!(" (pinned from {})", pinned.source) };
    Err(Diagnosis::refusal(
        "HW-WRK-001",
        format!(
            "the worklist of {job} changed under its pin{moved}: pinned SHA-256 {}, found {}; nothing was started",
            pinned.sha256, now.sha256
        ),
        format!(
            "{} adds what is new and keeps outcomes; `--replace` starts over with the new list; or put the old list back",
            with_flag(handle, "--extend")
        ),
    )
    .in_file(&now.source))
}

/// How a person pins anew: by `worklist`, or where no configuration names the job by a flag of the call that runs it.
pub(crate) fn with_flag(handle: &str, flag: &str) -> String {
    if handle.contains(' ') {
        format!("the same call with `{flag}`")
    } else {
        format!("`highwater worklist {handle} {flag}`")
    }
}

/// What a person who came from `flock` expects of a call without a list, and how to ask for it; nothing for other jobs.
pub(crate) fn at_every_call(handle: &str, worklist: Option<&WorklistRecord>) -> &'static str {
    let is_call = handle.contains(' ');
    let without_list = worklist.is_some_and(|worklist| worklist.input.is_none());
    if is_call && without_list { "; `--recurring` runs it at every call" } else { "" }
}

/// What a pass would drain.
pub(crate) struct Would {
    pub(crate) items: u64,
    /// What is listed besides, and nothing is to be done for.
    pub(crate) present: u64,
    retry: u64,
    /// Of what.
    of: &'static str,
    first: Vec<String>,
    /// What is known of each before it is drained, a line an item.
    estimates: Vec<String>,
}

impl Would {
    /// What is listed now, where a round is open that takes it.
    pub(crate) fn beside(self, open: &WorklistRecord) -> Self {
        // What was tried and is no longer listed is tried again all the same.
        let items = self.items.max(open.tally.open());
        Self { items, retry: open.tally.retry, of: "its open round and what it would take into it", ..self }
    }
}

impl fmt::Display for Would {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "would drain {} of {}", counted(self.items, "item"), self.of)?;
        if self.retry > 0 {
            write!(f, ", {} of them tried before", self.retry)?;
        }
        if self.present > 0 {
            write!(f, "; {} besides {} present", self.present, if self.present == 1 { "is" } else { "are" })?;
        }
        if self.estimates.is_empty() {
            return write!(f, "; first: {}", self.first.join(", "));
        }
        f.write_str(":")?;
        self.estimates.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
        let more = self.items.saturating_sub(self.estimates.len() as u64);
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}

pub(crate) async fn rehearse_open(engine: &Engine, worklist: &WorklistRecord) -> Result<Would, Stop> {
    // No pass has number 0, so nothing counts as tried by it.
    let first = engine.ledger.open_items(worklist.id, PassId(0), None, NAMED_ITEMS).await?;
    Ok(Would {
        items: worklist.tally.open(),
        present: 0,
        retry: worklist.tally.retry,
        of: "its pinned worklist",
        first: first.iter().map(|item| item.key.to_string()).collect(),
        estimates: Vec::new(),
    })
}

pub(crate) async fn rehearse_plan<J: Job>(job: &J, cx: &ReadCx) -> Result<Would, Stop> {
    let plan = job.plan(cx.clone());
    futures::pin_mut!(plan);
    let mut would = Would {
        items: 0,
        present: 0,
        retry: 0,
        of: "a worklist it would pin",
        first: Vec::new(),
        estimates: Vec::new(),
    };
    while let Some(item) = plan.next().await {
        let item = item?;
        if job.is_present(&item).await? {
            would.present += 1;
            continue;
        }
        would.items += 1;
        if would.first.len() < NAMED_ITEMS {
            would.first.push(item.key().to_string());
        }
        if would.estimates.len() < ESTIMATED_ITEMS
            && let Some(estimate) = item.estimate()
        {
            would.estimates.push(format!("{}  {estimate}", item.key()));
        }
    }
    Ok(would)
}
