//! How long shipped episodes stay. Owns which may go, in which order, and how much of that one pass does.
//!
//! Only what the ledger says the receiver has may go, only while its directory is what was sent, and only if the receiver says, once it is
//! due, that it still has it: it may have lost it since. One of which it does not say that waits, and holds up no other. The ledger's
//! own order is that of age, so neither `shipped/` nor the ledger is read whole: a note says how far both were gone through. The note
//! is of use, not of record: without it a pass goes through them from the beginning, a bounded part at a time.

mod cleanup;
mod newest;
mod shelf;
mod unreceived;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use highwater_engine::clock::since;
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::ledger::DoneItem;
use highwater_engine::settings::{ByteSize, DurationText};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::cleanup::{Cleanup, Clearing};
use self::newest::before;
pub use self::shelf::{LostThere, Shelf, lost};
use self::shelf::{Waiting, Way};
use super::holds::Receipt;
use super::outbox::{Outbox, OutboxError};
use super::{Held, Shelves, Ship, disk};
use crate::name::EpisodeId;

/// Most rows of the ledger that one pass looks at to count, and to remove.
const ROWS_A_PASS_MAX: usize = 5_000;
/// Rows that are looked at together.
const ROWS_A_PAGE: usize = 500;
/// So many that are due may stay all the same before a pass leaves the rest to the next, which begins behind them.
const MISSES_MAX: u64 = 16;
/// Where the receiver says nothing of so many one after another, it says nothing of any.
const NOBODY_MAX: usize = 3;
/// After so long the bytes are counted anew, in hours: somebody may have removed episodes by hand. As often what the receiver lost is asked
/// for again.
const RECOUNT_HOURS: u64 = 24;
const HOUR_SECS: u64 = 3_600;

/// What lets a shipped episode go that is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeepBy {
    /// The receiver, asked then, reads its file and names the same content.
    #[default]
    Answer,
    /// Where it says nothing of what it has, as an older one, the receipt that it gave.
    Receipt,
}

/// How long shipped episodes stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keeping {
    /// From when the ledger recorded that the receiver has them; `None`: for ever.
    pub time: Option<Duration>,
    /// How many bytes they may hold together; `None`: however many.
    pub size_bytes: Option<u64>,
    /// What lets one go.
    pub by: KeepBy,
}

impl Keeping {
    /// Whether episodes go at all.
    fn is_set(self) -> bool {
        self.time.is_some() || self.size_bytes.is_some()
    }

    /// Whether one need not stay, beside so many bytes of all.
    fn is_due(self, item: &DoneItem, bytes: u64, now: Timestamp) -> bool {
        let is_old = self.time.is_some_and(|time| since(now, item.recorded_at) > time);
        is_old || self.is_due_by_size(bytes)
    }

    /// Whether one need not stay beside so many bytes of all, however new it is.
    fn is_due_by_size(self, bytes: u64) -> bool {
        self.size_bytes.is_some_and(|most| bytes > most)
    }
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

/// What a receiver says that does not read: an older one, or one behind a proxy that takes headers away.
const UNREAD: &str =
    "the receiver names it as it noted it, and did not read it: a proxy may take `X-Episode-…` headers away";
/// And one that says nothing.
const UNSAID: &str = "the receiver does not say what it has: check the address and what stands in between; with one that never says it, \
                      `keep-by = \"receipt\"` lets an episode go by the receipt that it gave";

/// And one that is asked by a redirect.
const ELSEWHERE: &str = "a redirect led to who answered: set `receiver` to the address that is the receiver's own";

/// Whether what was done then is to be done again. What was done in a time to come, by a clock that was ahead, is not awaited.
fn is_a_day_ago(then: Timestamp, now: Timestamp) -> bool {
    then > now || since(now, then) > Duration::from_secs(RECOUNT_HOURS * HOUR_SECS)
}

/// Whether a row was recorded by a clock that was far ahead of what it is now.
fn is_ahead(item: &DoneItem, now: Timestamp) -> bool {
    since(item.recorded_at, now) > Duration::from_secs(RECOUNT_HOURS * HOUR_SECS)
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
        if !keeping.is_set() {
            return Ok(());
        }
        let shelves = self.place.shelves.clone();
        // A disk that is not mounted now, maybe: what is noted of it holds when it is there again.
        if !Self::on_disk(move || Ok(shelves.has_shipped())).await? {
            return Ok(());
        }
        let now = cx.read.clock.now();
        let mut shelf = self.noted(|outbox| outbox.shelf()).await?.unwrap_or_default();
        let before = shelf.clone();
        let shown = cx.read.done_items(shelf.shown_behind(), 1).await?;
        shelf.knows(shown.items.first());
        if keeping.size_bytes.is_some() {
            self.count(&cx.read, &mut shelf, now).await?;
        }
        let mut cleanup = Cleanup::default();
        self.ask_again(&cx.read, &mut shelf, &mut cleanup, now).await?;
        shelf.go_back(now);
        for way in [Way::On, Way::Again] {
            if !cleanup.is_nobody {
                self.remove_due(&cx.read, way, &mut shelf, &mut cleanup, now).await?;
            }
        }
        self.forget_gone(&mut shelf).await?;
        cleanup.record(&cx.read, keeping, true).await?;
        // Told first: what a pass that is killed here told, the next one tells again.
        cleanup.tell(cx, &mut shelf, keeping, now).await?;
        let unreceived = self.look_for_unreceived(&cx.read, &mut shelf, now).await?;
        cx.notes.extend(unreceived);
        if shelf != before {
            self.noted(move |outbox| outbox.set_shelf(&shelf)).await?;
        }
        Ok(())
    }

    async fn noted<T: Send + 'static>(
        &self,
        note: impl FnOnce(&Outbox) -> Result<T, super::OutboxError> + Send + 'static,
    ) -> Result<T, Stop> {
        let (outbox, dir) = (self.outbox()?, self.place.outbox.clone());
        Self::on_disk(move || note(&outbox).map_err(|error| disk(&error, &dir))).await
    }

    /// Forgets those of a time to come whose directory somebody removed.
    async fn forget_gone(&self, shelf: &mut Shelf) -> Result<(), Stop> {
        if shelf.ahead().next().is_none() {
            return Ok(());
        }
        let (shelves, mut waiting) = (self.place.shelves.clone(), std::mem::take(&mut shelf.waiting));
        shelf.waiting = Self::on_disk(move || {
            waiting.retain(|waiting| waiting.ahead.is_none() || may_be_shipped(&shelves, &waiting.episode));
            Ok(waiting)
        })
        .await?;
        Ok(())
    }

    /// Counts what was shipped since the last pass, as it was when it was sent; and all anew before anything goes by it, for what was sent
    /// again counts twice until then.
    async fn count(&self, cx: &ReadCx, shelf: &mut Shelf, now: Timestamp) -> Result<(), Stop> {
        if is_a_day_ago(shelf.counted_since, now) {
            return self.count_anew(cx, shelf, now).await;
        }
        for _ in 0..ROWS_A_PASS_MAX / ROWS_A_PAGE {
            let page = cx.done_items(shelf.counted, ROWS_A_PAGE).await?;
            let shelves = self.place.shelves.clone();
            let bytes = Self::on_disk(move || {
                let there =
                    page.items.iter().filter_map(received).filter(|(episode, _)| may_be_shipped(&shelves, episode));
                Ok((there.map(|(_, receipt)| receipt.holds.bytes).fold(0, u64::saturating_add), page.reached, page.end))
            });
            let (bytes, reached, end) = bytes.await?;
            (shelf.counted, shelf.bytes) = (reached, shelf.bytes.saturating_add(bytes));
            if end {
                break;
            }
        }
        if self.place.keeping.size_bytes.is_some_and(|most| shelf.bytes > most) {
            self.count_anew(cx, shelf, now).await?;
        }
        Ok(())
    }

    /// Asks again for those that were due in an earlier pass and stayed. The ones that stay once more go behind the others.
    async fn ask_again(
        &self,
        cx: &ReadCx,
        shelf: &mut Shelf,
        cleanup: &mut Cleanup,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let (mut misses, mut behind) = (0, Vec::new());
        for mut waiting in std::mem::take(&mut shelf.waiting) {
            let is_over = misses >= MISSES_MAX || cleanup.is_spent();
            if is_over || (waiting.lost && !is_a_day_ago(waiting.asked, now)) {
                shelf.waiting.push(waiting);
                continue;
            }
            if waiting.ahead.is_some_and(|at| at > now) && !self.place.keeping.is_due_by_size(shelf.bytes) {
                shelf.waiting.push(waiting);
                continue;
            }
            waiting.ahead = None;
            // Sent again since, it has another row.
            let Some(item) = row_of(cx, &waiting).await? else { continue };
            waiting.early = !self.place.keeping.is_due(&item, shelf.bytes, now);
            if waiting.early && !waiting.lost {
                shelf.waiting.push(waiting);
                continue;
            }
            let cleared = if waiting.early {
                // It stays however that be: what is told of it is what is so.
                self.may_go(cx, &item).await?.map_or_else(|cleared| cleared, |_| Clearing::Early)
            } else {
                self.cleared(cx, &item).await?
            };
            if cleared.is_over() {
                misses = MISSES_MAX;
                cleanup.add(&item, cleared, true);
                shelf.waiting.push(waiting);
                continue;
            }
            let says = cleared.was_asked() && !matches!(cleared, Clearing::Unsaid(_));
            if says || !waiting.lost {
                waiting.asked = now;
            }
            if cleared.is_nobodys() {
                // Whether that is so of any other, those that are due next show.
                misses = MISSES_MAX;
            }
            if cleared.is_for_good() {
                shelf.stay(waiting.place, waiting.episode.clone());
            }
            if cleared.is_removed() && !waiting.lost {
                shelf.counts_no_more(&item);
            }
            if let Some(lost) = cleared.stays() {
                // Of which nothing is said now, what was said last is what is known.
                if lost && !waiting.lost {
                    shelf.counts_no_more(&item);
                }
                waiting.lost = lost || (waiting.lost && !says);
                behind.push(waiting);
                misses += u64::from(!lost);
            }
            cleanup.add(&item, cleared, true);
            cleanup.record(cx, self.place.keeping, false).await?;
        }
        behind.into_iter().for_each(|waiting| shelf.wait(waiting));
        Ok(())
    }

    /// Removes those that are due and were not looked at before, or are to be again; the oldest first.
    async fn remove_due(
        &self,
        cx: &ReadCx,
        way: Way,
        shelf: &mut Shelf,
        cleanup: &mut Cleanup,
        now: Timestamp,
    ) -> Result<(), Stop> {
        // Of these, one after another, nobody said anything.
        let mut unsaid: Vec<Waiting> = Vec::new();
        let mut misses = 0;
        // Those were asked for already.
        let known: BTreeSet<_> = shelf
            .waiting
            .iter()
            .map(|waiting| (waiting.place, waiting.episode.to_string()))
            .chain(shelf.stay_for_good())
            .collect();
        'pages: for _ in 0..ROWS_A_PASS_MAX / ROWS_A_PAGE {
            let Some(at) = shelf.at(way) else { break };
            let page = cx.done_items(at, ROWS_A_PAGE).await?;
            let bytes = shelf.bytes;
            let again = self
                .sent_again(cx, &page, |item| self.place.keeping.is_due(item, bytes, now) || is_ahead(item, now))
                .await?;
            for item in &page.items {
                let is_due = self.place.keeping.is_due(item, shelf.bytes, now);
                let is_behind = way == Way::Again && shelf.is_behind_again(item.place);
                if is_behind {
                    shelf.reach(way, item.place, true, now);
                    break 'pages;
                }
                if !is_due && !is_ahead(item, now) {
                    if way == Way::Again {
                        shelf.ends_again(now);
                    }
                    break 'pages;
                }
                if cleanup.is_spent() || misses >= MISSES_MAX {
                    cleanup.more = true;
                    break 'pages;
                }
                if again.contains(&item.place) || known.contains(&(item.place, item.key.to_string())) {
                    shelf.pass(way, item);
                    continue;
                }
                if !is_due {
                    // It would hold up those behind it until then.
                    shelf.pass(way, item);
                    let ahead = |(episode, _)| Waiting::ahead(item.place, episode, item.recorded_at, now);
                    received(item).map(ahead).into_iter().for_each(|waiting| shelf.wait(waiting));
                    continue;
                }
                let cleared = self.cleared(cx, item).await?;
                if cleared.is_over() {
                    // It was not asked for: the next pass begins with it.
                    cleanup.is_nobody = true;
                    cleanup.add(item, cleared, false);
                    break 'pages;
                }
                shelf.pass(way, item);
                let waits = |lost| received(item).map(|(episode, _)| Waiting::new(item.place, episode, lost, now));
                if cleared.is_nobodys() {
                    unsaid.extend(waits(false));
                    cleanup.add(item, cleared, false);
                    if unsaid.len() >= NOBODY_MAX {
                        break 'pages;
                    }
                    continue;
                }
                if cleared.was_asked() {
                    // It says what it has of this one: of those before it alone it said nothing.
                    unsaid.drain(..).for_each(|waiting| shelf.wait(waiting));
                }
                let stays = cleared.stays();
                if let Some(lost) = stays {
                    waits(lost).into_iter().for_each(|waiting| shelf.wait(waiting));
                    misses += u64::from(!lost);
                }
                // Lost ones beyond the list did not count.
                let counted = way == Way::On || shelf.waits_more;
                if counted && (cleared.is_removed() || stays == Some(true)) {
                    shelf.counts_no_more(item);
                }
                let is_told = match received(item).filter(|_| cleared.is_for_good()) {
                    // Told before, where those beyond the list are gone through again.
                    Some((episode, _)) => shelf.stay(item.place, episode) || way == Way::On,
                    None => true,
                };
                if is_told {
                    cleanup.add(item, cleared, way == Way::Again);
                }
                cleanup.record(cx, self.place.keeping, false).await?;
            }
            shelf.reach(way, page.reached, page.end, now);
            if page.end {
                break;
            }
        }
        if !unsaid.is_empty() {
            // They wait like any other, and the next pass goes on behind them: else three of which nobody ever says anything would hold up all.
            cleanup.is_nobody = true;
            unsaid.into_iter().for_each(|waiting| shelf.wait(waiting));
        }
        Ok(())
    }

    /// Removes one that is due, if it is what was sent and the receiver says that it has that.
    async fn cleared(&self, cx: &ReadCx, item: &DoneItem) -> Result<Clearing, Stop> {
        let (episode, receipt) = match self.may_go(cx, item).await? {
            Ok(goes) => goes,
            Err(stays) => return Ok(stays),
        };
        let (holds, content) = (receipt.holds, receipt.content_sha256);
        let (shelves, id) = (self.place.shelves.clone(), episode.clone());
        let seen = match Self::on_disk(move || Ok(shelves.as_sent(&id, &receipt))).await? {
            Ok(Ok(seen)) => seen,
            Ok(Err(stays)) => return Ok(Clearing::Cleared(stays, holds)),
            Err(error) => return Ok(Clearing::Failed(error)),
        };
        // What the receiver lost while files were read here, which takes minutes where they are large.
        if seen.read_bytes() > 0 {
            match self.may_go(cx, item).await? {
                Ok((_, still)) if still.content_sha256 == content => {}
                Ok(_) => return Ok(Clearing::Lost),
                Err(stays) => return Ok(stays),
            }
        }
        let shelves = self.place.shelves.clone();
        let cleared = Self::on_disk(move || Ok(shelves.remove_shipped(&episode, &seen))).await?;
        Ok(cleared.map_or_else(Clearing::Failed, |cleared| Clearing::Cleared(cleared, holds)))
    }

    /// Asks whether one may go that is there: the receiver has what was sent. A receipt of an older version does not say what that was: the
    /// receiver does.
    async fn may_go(&self, cx: &ReadCx, item: &DoneItem) -> Result<Result<(EpisodeId, Receipt), Clearing>, Stop> {
        let Some((episode, mut receipt)) = received(item) else { return Ok(Err(Clearing::NoReceipt)) };
        let (shelves, id) = (self.place.shelves.clone(), episode.clone());
        let by = self.place.keeping.by;
        // What is not there, or of which that is not known, is not asked for, so it does not go, whatever lies there a moment later.
        let stays = match Self::on_disk(move || Ok(shelves.stays(&id))).await? {
            Ok(stays) => stays.map(|stays| Clearing::Cleared(stays, receipt.holds)),
            Err(error) => Some(Clearing::Unseen(error)),
        };
        if stays.is_none() {
            // Under whose name it was sent: the host may be called otherwise since.
            let own = &self.place.receiver.host;
            let host = receipt.host.as_ref().unwrap_or(own);
            let held = match self.place.receiver.content(cx, host, &episode).await {
                Ok(Ok(held)) => held,
                Ok(Err(no_answer)) => return Ok(Err(Clearing::Unanswered(no_answer))),
                Err(_) => return Ok(Err(Clearing::Over)),
            };
            let unanswered = |why: &str| Ok(Err(Clearing::Unanswered(why.to_owned())));
            match (held, receipt.content_sha256) {
                (Held::Named(theirs), None) => receipt.content_sha256 = Some(theirs),
                (Held::Named(theirs), Some(ours)) if theirs == ours => {}
                (Held::Unsaid, Some(_)) if by == KeepBy::Receipt => {}
                (Held::Nothing | Held::Named(_), Some(_)) => return Ok(Err(Clearing::Lost)),
                (Held::Unread, Some(_)) => return unanswered(UNREAD),
                (Held::Unsaid, Some(_)) => return unanswered(UNSAID),
                (Held::Elsewhere, _) => return unanswered(ELSEWHERE),
                (Held::Refused, _) if host != own => {
                    return Ok(Err(Clearing::Unsaid(format!(
                        "{episode}: the receiver does not say to `{own}` what it has of `{host}`, as which it was sent: let its operator allow that"
                    ))));
                }
                (Held::Refused, _) => return unanswered("the receiver does not say to this host what it has"),
                (Held::Unable(status @ (500 | 507)), _) => {
                    return Ok(Err(Clearing::Unsaid(format!(
                        "{episode}: {status}: the receiver cannot say what it has"
                    ))));
                }
                (Held::Unable(status), _) => {
                    return Ok(Err(Clearing::Unanswered(format!("{status}: the receiver cannot say what it has"))));
                }
                (Held::Unread | Held::Nothing | Held::Unsaid, None) => {
                    return Ok(Err(Clearing::Unnamed));
                }
            }
        }
        Ok(stays.map_or(Ok((episode, receipt)), Err))
    }
}

/// Whether an episode's directory is in `shipped`, as far as the disk says: what it does not say makes nothing gone.
fn may_be_shipped(shelves: &Shelves, episode: &EpisodeId) -> bool {
    shelves.is_shipped(episode).unwrap_or(true)
}

/// Forgets those that a person moved back to be sent again: then the new row says how long they stay.
pub(super) fn forget_moved_back(outbox: &Outbox, shelves: &Shelves) -> Result<(), OutboxError> {
    let Some(mut shelf) = outbox.shelf()? else { return Ok(()) };
    let before = shelf.waiting.len();
    let is_moved_back = |episode: &EpisodeId| {
        shelves.is_recorded(episode).is_ok_and(|is_recorded| is_recorded) && !may_be_shipped(shelves, episode)
    };
    shelf.waiting.retain(|waiting| !is_moved_back(&waiting.episode));
    if shelf.waiting.len() == before { Ok(()) } else { outbox.set_shelf(&shelf) }
}

/// The row of one that waits; `None` where it has another now.
async fn row_of(cx: &ReadCx, waiting: &Waiting) -> Result<Option<DoneItem>, Stop> {
    let page = cx.done_items(before(waiting.place), 1).await?;
    let is_it = |item: &DoneItem| item.place == waiting.place && item.key.as_str() == waiting.episode.as_str();
    Ok(page.items.into_iter().find(is_it))
}
