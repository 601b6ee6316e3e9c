//! A round that stays open: what is listed since it was pinned joins it, so that an item which fails again and again holds up no
//! other. Owns when that is, and what of an item that is on the list already may be tried again.

use std::sync::Arc;

use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::next_batch;
use crate::job::{Job, ReadCx, Stop};
use crate::ledger::{Fence, ItemFilter, ItemOrder, Pin, PinMode, Who, Word};
use crate::name::ItemKey;
use crate::outcome::OutcomeKind;
use crate::pass::Engine;
use crate::report::counted;
use crate::spec::JobSpec;
use crate::worklist::{Tally, WorklistRecord};

/// A round of so many items takes no more: it comes to its end, and so does what the ledger must keep of it.
const ROUND_ITEMS_MAX: u64 = 100_000;

/// Whether the round is to take what is listed since: it was discovered, and has room. What is untried in it comes first in any case.
pub(crate) fn takes_more<J: Job>(job: &J, recurring: bool, open: &WorklistRecord) -> bool {
    recurring && job.rounds_stay_open() && open.input.is_none() && has_room(&open.tally)
}

fn has_room(tally: &Tally) -> bool {
    tally.total < ROUND_ITEMS_MAX
}

/// Takes into the open round what is listed since. Where nothing is new, nothing is written of the list. It is whole or not at all: what
/// a kill leaves of it is invisible, and goes with the next one.
///
/// What is listed again and was for a person is opened only where all that is open was tried: it would come before what is untried, and
/// three that are refused again would halt the job before any of that.
pub(crate) async fn extend<J: Job>(
    engine: &Engine,
    spec: &JobSpec,
    job: &Arc<J>,
    cx: &ReadCx,
    fence: &Fence,
    open: WorklistRecord,
) -> Result<WorklistRecord, Stop> {
    let ledger = &engine.ledger;
    let has_untried = open.tally.open() > open.tally.retry;
    let worklist = ledger.begin_worklist(fence, &cx.job, PinMode::Extend, engine.clock.now()).await?;
    let (mut hash, mut added, mut again) = (Sha256::new(), 0, Vec::new());
    {
        let plan = job.plan(cx.clone()).fuse();
        futures::pin_mut!(plan);
        while let Some(batch) = next_batch::<J>(cx, &mut plan, &mut hash).await? {
            let appended = ledger.append_items(fence, worklist, &batch).await?;
            added += appended.added;
            if appended.duplicates > 0 && !has_untried {
                let listed = ItemFilter::Keys(batch.into_iter().map(|item| item.key).collect());
                let there = ledger.items(worklist, &listed, ItemOrder::Position, None, super::PIN_BATCH_ITEMS).await?;
                // A job that lists again what was for a person says that it is mended; where its attempts are spent, it is not.
                let mended = there
                    .into_iter()
                    .filter(|item| item.outcome == Some(OutcomeKind::Review) && item.attempts < spec.attempts_max);
                again.extend(mended.map(|item| item.key));
            }
        }
    }
    let word = |why: String| Word { at: engine.clock.now(), who: Who(format!("pass {}", fence.pass)), why };
    let mut round = open;
    if added > 0 {
        let pin = Pin { input: None, sha256: hex::encode(hash.finalize()), mode: PinMode::Extend };
        let found = word(format!("{}, found since", counted(added, "item")));
        round = ledger.pin(fence, worklist, &pin, &found).await?;
    }
    for keys in again.chunks(super::PIN_BATCH_ITEMS).map(<[ItemKey]>::to_vec) {
        ledger.retry_items(&cx.job, &ItemFilter::Keys(keys), &word("listed again".to_owned())).await?;
    }
    if !again.is_empty()
        && let Some(now) = ledger.job(&cx.job).await?.and_then(|record| record.worklist)
    {
        round = now;
    }
    Ok(round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_of_so_many_items_takes_no_more_and_comes_to_its_end() {
        let round = |total: u64, retry: u64| Tally { total, retry, done: total - retry, ..Tally::default() };
        assert!(has_room(&round(99_999, 1)));
        assert!(!has_room(&round(100_000, 1)), "the ledger keeps a round whole until its end");
        assert!(has_room(&Tally { total: 3, retry: 1, done: 1, ..Tally::default() }), "one is untried");
    }
}
