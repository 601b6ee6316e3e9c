//! Which receipt speaks of a name that was sent more than once: the newest. Owns that the others are passed over, and that what lies in
//! `shipped` under one name counts once.

use std::collections::{BTreeMap, BTreeSet};

use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::ledger::{DoneItem, DonePage, DonePlace};
use jiff::Timestamp;

use super::shelf::Waiting;
use super::{ROWS_A_PAGE, Shelf, may_be_shipped, received};
use crate::name::EpisodeId;
use crate::ship::Ship;
use crate::ship::holds::Receipt;

/// Most pages of the ledger that one look reads.
const PAGES_A_LOOK_MAX: usize = 2_000;

impl Ship {
    /// The rows of these that have a receipt, and whose directory is there.
    async fn there<'i>(
        &self,
        items: impl Iterator<Item = &'i DoneItem>,
    ) -> Result<Vec<(DonePlace, EpisodeId, Receipt)>, Stop> {
        let mut rows: Vec<_> =
            items.filter_map(|item| received(item).map(|(episode, receipt)| (item.place, episode, receipt))).collect();
        if rows.is_empty() {
            return Ok(rows);
        }
        let shelves = self.place.shelves.clone();
        Self::on_disk(move || {
            rows.retain(|(_, episode, _)| may_be_shipped(&shelves, episode));
            Ok(rows)
        })
        .await
    }

    /// Of the rows of a page that may lead to a removal, those whose name was sent again later.
    pub(super) async fn sent_again(
        &self,
        cx: &ReadCx,
        page: &DonePage,
        may_go: impl Fn(&DoneItem) -> bool,
    ) -> Result<BTreeSet<DonePlace>, Stop> {
        let there = self.there(page.items.iter().filter(|item| may_go(item))).await?;
        let mut newest: BTreeMap<&EpisodeId, DonePlace> = there.iter().map(|(place, name, _)| (name, *place)).collect();
        if newest.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut see = |items: &[DoneItem]| {
            for item in items {
                if let Some((episode, _)) = received(item)
                    && let Some(place) = newest.get_mut(&episode)
                {
                    *place = item.place;
                }
            }
        };
        see(&page.items);
        let (mut reached, mut end) = (page.reached, page.end);
        for _ in 0..PAGES_A_LOOK_MAX {
            if end {
                break;
            }
            let next = cx.done_items(reached, ROWS_A_PAGE).await?;
            see(&next.items);
            (reached, end) = (next.reached, next.end);
        }
        Ok(there.iter().filter(|(place, episode, _)| newest[episode] > *place).map(|(place, ..)| *place).collect())
    }

    /// Counts anew what lies there and is not gone through, or waits: each name once, by its newest receipt. What the receiver lost is not
    /// counted.
    pub(super) async fn count_anew(&self, cx: &ReadCx, shelf: &mut Shelf, now: Timestamp) -> Result<(), Stop> {
        let waits = |waiting: &&Waiting| !waiting.lost;
        let waiting: BTreeSet<DonePlace> = shelf.waiting.iter().filter(waits).map(|waiting| waiting.place).collect();
        // What is beyond the list is not known by name: all that is there counts then, but for what stays.
        let all = shelf.waits_more;
        let (lost, stays) =
            (shelf.lost_places(), shelf.stay_for_good().map(|(place, _)| place).collect::<BTreeSet<_>>());
        let from_list = waiting.first().map_or(shelf.removed, |first| before(*first).min(shelf.removed));
        let mut reached = if all { DonePlace::default() } else { from_list };
        let mut bytes = BTreeMap::new();
        for _ in 0..PAGES_A_LOOK_MAX {
            let page = cx.done_items(reached, ROWS_A_PAGE).await?;
            let counts = |item: &&DoneItem| {
                item.place > shelf.removed
                    || waiting.contains(&item.place)
                    || all && !lost.contains(&item.place) && !stays.contains(&item.place)
            };
            for (_, episode, receipt) in self.there(page.items.iter().filter(counts)).await? {
                bytes.insert(episode, receipt.holds.bytes);
            }
            reached = page.reached;
            if page.end {
                break;
            }
        }
        (shelf.counted, shelf.counted_since) = (reached, now);
        shelf.bytes = bytes.into_values().fold(0, u64::saturating_add);
        Ok(())
    }
}

/// The place behind which a row is the first.
pub(super) fn before(place: DonePlace) -> DonePlace {
    DonePlace { recorded_no: place.recorded_no.saturating_sub(1), ..place }
}
