//! How long shipped episodes stay. Owns which may go, in which order, and how much of that one pass does.
//!
//! Only what the ledger says the receiver has may go, only while its directory is what was sent, and only if the receiver says, once it is
//! due, that it still has it: it may have lost it since. The ledger's own order is that of
//! age, so neither `shipped/` nor the ledger is read whole: a note says how far both were gone through. The note is of use, not of
//! record: without it a pass goes through them from the beginning, a bounded part at a time.

mod unreceived;

use std::fmt;
use std::time::Duration;

use highwater_engine::clock::since;
use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::ledger::{DoneItem, DonePlace};
use highwater_engine::report::counted;
use highwater_engine::settings::{ByteSize, DurationText};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::holds::{Holds, Receipt};
use super::outbox::Outbox;
use super::retire::{Cleared, RetireError};
use super::{Held, Ship, disk};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;

/// Most rows of the ledger that one pass looks at to count, and to remove.
const ROWS_A_PASS_MAX: usize = 5_000;
/// Rows that are looked at together.
const ROWS_A_PAGE: usize = 500;
/// Most episodes that one pass removes, and about the most files of them.
const EPISODES_A_PASS_MAX: u64 = 200;
const FILES_A_PASS_MAX: u64 = 100_000;
/// About the most bytes of them that one pass reads, where a look does not show that one is what was sent.
const READ_BYTES_A_PASS_MAX: u64 = 32 << 30;
/// Most episodes whose removal fails before a pass leaves the rest to the next.
const FAILURES_MAX: u64 = 16;
/// Of so many the receiver may not say what it has before a pass leaves the rest to the next.
const SILENT_MAX: u64 = 16;
/// After so long the bytes are counted anew, in hours: somebody may have removed episodes by hand.
const RECOUNT_HOURS: u64 = 24;
const HOUR_SECS: u64 = 3_600;

/// How long shipped episodes stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keeping {
    /// From when the ledger recorded that the receiver has them; `None`: for ever.
    pub time: Option<Duration>,
    /// How many bytes they may hold together; `None`: however many.
    pub size_bytes: Option<u64>,
}

/// As a person set it.
impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.map(|time| {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            format!("`keep-time` is {}", DurationText::millis(millis))
        });
        let size = self.size_bytes.map(|bytes| {
            let size = format!("{bytes}B");
            let size = size.parse().map_or(size, |size: ByteSize| size.to_string());
            format!("`keep-size` is {size}")
        });
        match (time, size) {
            (Some(time), Some(size)) => write!(f, "{time} and {size}"),
            (time, size) => f.write_str(&time.or(size).unwrap_or_default()),
        }
    }
}

/// How far the shelf was gone through, between two passes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shelf {
    /// What is up to here is gone, or stays for good.
    removed: DonePlace,
    /// What is behind it and up to here is counted.
    counted: DonePlace,
    /// How many bytes that is.
    bytes: u64,
    /// Since when it is counted.
    counted_since: Timestamp,
    /// When `shipped/` was last looked at for what has no receipt.
    #[serde(default)]
    looked_at: Timestamp,
    /// The names of what has none, as they were told last; without one nothing was to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<Sha256Digest>,
}

/// What one pass removed, and what it could not.
#[derive(Debug, Default)]
struct Cleanup {
    episodes: u64,
    files: u64,
    bytes: u64,
    /// No longer what was sent.
    differ: u64,
    /// Sent by an older version, and the receiver does not name what they hold.
    unnamed: u64,
    /// No longer what the receiver has, or it has none.
    lost: u64,
    /// Of so many the receiver did not say what it has; and why, of the first.
    silent: u64,
    unanswered: Option<String>,
    read_bytes: u64,
    failures: u64,
    failed: Option<String>,
    /// From the first on that failed, nothing counts as removed.
    at: Option<DonePlace>,
    more: bool,
}

impl Cleanup {
    fn is_spent(&self) -> bool {
        self.episodes >= EPISODES_A_PASS_MAX
            || self.files >= FILES_A_PASS_MAX
            || self.failures >= FAILURES_MAX
            || self.silent >= SILENT_MAX
            || self.read_bytes >= READ_BYTES_A_PASS_MAX
    }

    /// Takes in what became of one.
    fn add(&mut self, item: &DoneItem, cleared: Result<Clearing, RetireError>, shelf: &mut Shelf) {
        match cleared {
            Ok(Clearing::Cleared(Cleared::Removed { read_bytes }, holds)) => {
                self.read_bytes = self.read_bytes.saturating_add(read_bytes);
                self.episodes += 1;
                self.files += holds.files;
                self.bytes = self.bytes.saturating_add(holds.bytes);
                if item.place <= shelf.counted {
                    shelf.bytes = shelf.bytes.saturating_sub(holds.bytes);
                }
            }
            Ok(Clearing::Cleared(Cleared::Differs { read_bytes }, _)) => {
                self.read_bytes = self.read_bytes.saturating_add(read_bytes);
                tracing::warn!(episode = %item.key, "it is no longer what was sent and stays in `shipped`");
                self.differ += 1;
            }
            Ok(Clearing::Unnamed) => {
                tracing::warn!(episode = %item.key, "the receiver does not name what it holds: it stays in `shipped`");
                self.unnamed += 1;
            }
            Ok(Clearing::Lost) => {
                tracing::warn!(episode = %item.key, "the receiver does not have it any more: it stays in `shipped`");
                self.lost += 1;
            }
            Ok(Clearing::Unsaid(why)) => {
                self.silent += 1;
                self.at = self.at.or(Some(shelf.removed));
                self.unanswered.get_or_insert(why);
            }
            Ok(Clearing::Cleared(Cleared::Gone, _) | Clearing::NoReceipt | Clearing::Unanswered(_)) => {}
            Err(error) => {
                self.failures += 1;
                self.at = self.at.or(Some(shelf.removed));
                self.failed.get_or_insert_with(|| with_causes(&error));
            }
        }
        shelf.removed = item.place;
    }
}

/// What came of one that is due.
enum Clearing {
    Cleared(Cleared, Holds),
    /// No receipt: it never goes.
    NoReceipt,
    /// Its receipt does not say what it held, or the receiver would have to, and does not.
    Unnamed,
    /// The receiver has none of its name that is whole, or another one.
    Lost,
    /// The receiver does not say what it has of this one, for this cause.
    Unsaid(String),
    /// Nor of any other: it does not answer.
    Unanswered(String),
}

/// Whether what was done then is to be done again. What was done in a time to come, by a clock that was ahead, is not awaited.
fn is_a_day_ago(then: Timestamp, now: Timestamp) -> bool {
    then > now || since(now, then) > Duration::from_secs(RECOUNT_HOURS * HOUR_SECS)
}

/// The receipt of an episode; a row that holds none never leads to a removal.
fn received(item: &DoneItem) -> Option<(EpisodeId, Receipt)> {
    let receipt = Receipt::read(item.detail.as_deref()?)?;
    Some((EpisodeId::new(item.key.as_str()).ok()?, receipt))
}

impl Ship {
    /// Removes shipped episodes that need not stay. What fails is told and fails no pass.
    pub(super) async fn clear_shipped(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        let keeping = self.place.keeping;
        if keeping == Keeping::default() {
            return Ok(());
        }
        let now = cx.read.clock.now();
        let mut shelf = self.noted(|outbox| outbox.shelf()).await?.unwrap_or_default();
        let before = shelf.clone();
        if keeping.size_bytes.is_some() {
            self.count(&cx.read, &mut shelf, now).await?;
        }
        let cleanup = self.remove_due(&cx.read, &mut shelf, now).await?;
        if let Some(at) = cleanup.at {
            shelf.removed = at;
        }
        let unreceived = self.look_for_unreceived(&cx.read, &mut shelf, now).await?;
        if shelf != before {
            let shelf = shelf.clone();
            self.noted(move |outbox| outbox.set_shelf(&shelf)).await?;
        }
        tell(cx, &cleanup, keeping).await?;
        cx.notes.extend(unreceived);
        Ok(())
    }

    async fn noted<T: Send + 'static>(
        &self,
        note: impl FnOnce(&Outbox) -> Result<T, super::OutboxError> + Send + 'static,
    ) -> Result<T, Stop> {
        let (outbox, dir) = (self.outbox()?, self.place.outbox.clone());
        Self::on_disk(move || note(&outbox).map_err(|error| disk(&error, &dir))).await
    }

    /// Counts what was shipped since the last pass, as it was when it was sent.
    async fn count(&self, cx: &ReadCx, shelf: &mut Shelf, now: Timestamp) -> Result<(), Stop> {
        if is_a_day_ago(shelf.counted_since, now) {
            (shelf.counted, shelf.bytes, shelf.counted_since) = (shelf.removed, 0, now);
        }
        for _ in 0..ROWS_A_PASS_MAX / ROWS_A_PAGE {
            let page = cx.done_items(shelf.counted, ROWS_A_PAGE).await?;
            let shelves = self.place.shelves.clone();
            let bytes = Self::on_disk(move || {
                let there = page.items.iter().filter_map(received).filter(|(episode, _)| shelves.is_shipped(episode));
                Ok((there.map(|(_, receipt)| receipt.holds.bytes).fold(0, u64::saturating_add), page.reached, page.end))
            });
            let (bytes, reached, end) = bytes.await?;
            (shelf.counted, shelf.bytes) = (reached, shelf.bytes.saturating_add(bytes));
            if end {
                break;
            }
        }
        Ok(())
    }

    async fn remove_due(&self, cx: &ReadCx, shelf: &mut Shelf, now: Timestamp) -> Result<Cleanup, Stop> {
        let (keeping, mut cleanup) = (self.place.keeping, Cleanup::default());
        for _ in 0..ROWS_A_PASS_MAX / ROWS_A_PAGE {
            let page = cx.done_items(shelf.removed, ROWS_A_PAGE).await?;
            for item in &page.items {
                let is_old = keeping.time.is_some_and(|time| since(now, item.recorded_at) > time);
                if !is_old && keeping.size_bytes.is_none_or(|most| shelf.bytes <= most) {
                    return Ok(cleanup);
                }
                if cleanup.is_spent() {
                    cleanup.more = true;
                    return Ok(cleanup);
                }
                let cleared = self.cleared(cx, item).await?;
                if let Ok(Clearing::Unanswered(why)) = cleared {
                    cleanup.unanswered.get_or_insert(why);
                    return Ok(cleanup);
                }
                cleanup.add(item, cleared, shelf);
            }
            shelf.removed = page.reached;
            if page.end {
                break;
            }
        }
        Ok(cleanup)
    }

    /// Removes one that is due, if it is what was sent and the receiver says that it has that. A receipt of an older version does not say what
    /// that was: the receiver does.
    async fn cleared(&self, cx: &ReadCx, item: &DoneItem) -> Result<Result<Clearing, RetireError>, Stop> {
        let Some((episode, mut receipt)) = received(item) else { return Ok(Ok(Clearing::NoReceipt)) };
        let (shelves, id) = (self.place.shelves.clone(), episode.clone());
        let unsaid = |why| Ok(Ok(Clearing::Unsaid(format!("{episode}: {why}"))));
        if Self::on_disk(move || Ok(shelves.is_shipped(&id))).await? {
            let held = match self.place.receiver.content(cx, &episode).await {
                Ok(Ok(held)) => held,
                Ok(Err(no_answer)) => return Ok(Ok(Clearing::Unanswered(no_answer))),
                Err(_) => return Ok(Ok(Clearing::Unanswered("it is not contacted in this pass any more".to_owned()))),
            };
            match (held, receipt.content_sha256) {
                (Held::Named(theirs), None) => receipt.content_sha256 = Some(theirs),
                (Held::Named(theirs), Some(ours)) if theirs == ours => {}
                // A person let go of it; and of what a receiver does not say, its receipt is all that anybody will have.
                (Held::Withdrawn | Held::Unsaid, Some(_)) => {}
                (Held::Nothing | Held::Named(_), Some(_)) => return Ok(Ok(Clearing::Lost)),
                (Held::Unread, Some(_)) => {
                    return unsaid("the receiver names it as it noted it, and did not read it".to_owned());
                }
                (Held::Refused, _) => return unsaid("the receiver does not say to this host what it has".to_owned()),
                (Held::Unable(status), _) => return unsaid(format!("{status}: the receiver cannot say what it has")),
                (Held::Unread | Held::Nothing | Held::Withdrawn | Held::Unsaid, None) => {
                    return Ok(Ok(Clearing::Unnamed));
                }
            }
        }
        let shelves = self.place.shelves.clone();
        let cleared = Self::on_disk(move || Ok(shelves.clear(&episode, &receipt))).await?;
        Ok(cleared.map(|cleared| Clearing::Cleared(cleared, receipt.holds)))
    }
}

fn are(episodes: u64) -> String {
    format!("{} {}", counted(episodes, "shipped episode"), if episodes == 1 { "is" } else { "are" })
}

/// Tells of it in the report, and of what was removed in an event.
async fn tell(cx: &mut CommitCx, cleanup: &Cleanup, keeping: Keeping) -> Result<(), Stop> {
    let Cleanup { episodes, bytes, differ, unnamed, lost, unanswered, failures, failed, more, .. } = cleanup;
    if *episodes > 0 {
        let removed = format!("removed {} of {bytes} bytes, for {keeping}", counted(*episodes, "shipped episode"));
        cx.read.add_event("remove", &removed).await?;
        cx.notes.push(if *more { format!("{removed}; the next pass removes more") } else { removed });
    }
    if *differ > 0 {
        cx.notes.push(format!(
            "{} no longer what was sent and {} in `shipped`; the log names {}",
            are(*differ),
            if *differ == 1 { "stays" } else { "stay" },
            if *differ == 1 { "it" } else { "them" },
        ));
    }
    if *lost > 0 {
        let told = format!(
            "{} due for {keeping}, and the receiver does not have what was sent any more: {} in `shipped`; the log names {them}; to send one \
             again, move it back to `episodes`",
            are(*lost),
            if *lost == 1 { "it stays" } else { "they stay" },
            them = if *lost == 1 { "it" } else { "them" },
        );
        cx.read.add_event("keep", &told).await?;
        cx.notes.push(told);
    }
    if let Some(why) = unanswered {
        cx.notes.push(format!(
            "shipped episodes that are due for {keeping} stay until the receiver says that it has them: {why}"
        ));
    }
    if *unnamed > 0 {
        cx.notes.push(format!(
            "{} received by an older version, whose receipt does not say what was sent, and the receiver does not name it: {} in `shipped`; \
             to get another receipt, move one back to `episodes`",
            are(*unnamed),
            if *unnamed == 1 { "it stays" } else { "they stay" },
        ));
    }
    if let Some(failed) = failed {
        cx.notes.push(format!(
            "{} could not be removed; the next pass tries again: {failed}",
            counted(*failures, "shipped episode")
        ));
    }
    Ok(())
}
