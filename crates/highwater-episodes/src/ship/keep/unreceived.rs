//! What lies in `shipped/` and never goes by itself: directories of which the ledger holds no receipt. Owns how they are found, once a
//! day, and that they are told when they become others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::ledger::DonePlace;
use jiff::Timestamp;

use super::{ROWS_A_PAGE, Shelf, is_a_day_ago, received};
use crate::digest::Sha256Digest;
use crate::name::EpisodeId;
use crate::ship::{Held, Ship, disk};

/// Most directories of which it is looked whether they have a receipt.
const DIRS_MAX: usize = 200_000;
/// Most pages of the ledger that one look reads.
const PAGES_A_LOOK_MAX: usize = 2_000;
/// Directories that are named.
const NAMED_DIRS: usize = 5;

impl Ship {
    /// Looks, once a day, for directories that no receipt lets go. What is to be told of them, where they are others than were told.
    pub(super) async fn look_for_unreceived(
        &self,
        cx: &ReadCx,
        shelf: &mut Shelf,
        now: Timestamp,
    ) -> Result<Option<String>, Stop> {
        if !is_a_day_ago(shelf.looked_at, now) {
            return Ok(None);
        }
        shelf.looked_at = now;
        let shipped = self.place.shelves.shipped.clone();
        let there = Self::on_disk(move || directories(&shipped).map_err(|error| disk(&error, &shipped))).await?;
        let Some((without, newest)) = without_receipt(cx, there).await? else {
            tracing::info!("`shipped`, or what the ledger holds of it, is too much to be looked through for receipts");
            return Ok(None);
        };
        // One of whose name something is in `episodes` waits for that.
        let shelves = self.place.shelves.clone();
        let (newest, held) = Self::on_disk(move || {
            // One of which that is not known is asked for, which looks again.
            let is_held = |episode: &&EpisodeId| shelves.is_recorded(episode).is_ok_and(|is_recorded| is_recorded);
            let held = newest.keys().filter(is_held).cloned().collect();
            Ok((newest, held))
        })
        .await?;
        shelf.look_again(&newest, &held, now);
        let names: Vec<&str> = without.iter().map(String::as_str).collect();
        let told = (!names.is_empty()).then(|| Sha256Digest::of(names.join("/").as_bytes()));
        let is_news = told.is_some() && told != shelf.told;
        shelf.told = told;
        if !is_news {
            return Ok(None);
        }
        Ok(Some(sentence(&names, self.says(cx, &names).await)))
    }
}

/// The directories without one, and the rows of the others.
type Receipts = (BTreeSet<String>, BTreeMap<EpisodeId, DonePlace>);

/// What sending one again comes to, at this receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It names what it has.
    Names,
    /// It says what it has and does not read it for that: it names what is sent whole, and not what is sent in parts.
    NamesWhole,
    /// It does not: no pass gets a receipt of it.
    Nothing,
    /// Nobody answered.
    Unknown,
}

impl Ship {
    /// Asks the receiver for one of these, whether it names what it has.
    async fn says(&self, cx: &ReadCx, names: &[&str]) -> Says {
        let Some(episode) = names.iter().find_map(|name| EpisodeId::new(name).ok()) else { return Says::Unknown };
        match self.place.receiver.content(cx, &self.place.receiver.host, &episode).await {
            Ok(Ok(Held::Named(_) | Held::Nothing)) => Says::Names,
            Ok(Ok(Held::Unread)) => Says::NamesWhole,
            Ok(Ok(Held::Unsaid | Held::Refused | Held::Elsewhere)) => Says::Nothing,
            Ok(Ok(Held::Unable(_)) | Err(_)) | Err(_) => Says::Unknown,
        }
    }
}

/// Which of these directories have no receipt, and the row of the newest one of each other; `None` where that would be too much to find
/// out.
async fn without_receipt(cx: &ReadCx, there: Option<BTreeSet<String>>) -> Result<Option<Receipts>, Stop> {
    let Some(mut without) = there else { return Ok(None) };
    let mut newest = BTreeMap::new();
    // From the beginning: what has a receipt and was changed since is told elsewhere.
    let mut at = DonePlace::default();
    for _ in 0..PAGES_A_LOOK_MAX {
        let page = cx.done_items(at, ROWS_A_PAGE).await?;
        for item in &page.items {
            let Some((episode, _)) = received(item) else { continue };
            if without.remove(episode.as_str()) || newest.contains_key(&episode) {
                newest.insert(episode, item.place);
            }
        }
        if page.end {
            return Ok(Some((without, newest)));
        }
        at = page.reached;
    }
    Ok(None)
}

/// The directories in `shipped/` but for ours, by name; `None` where there are more than are looked at.
fn directories(shipped: &Path) -> io::Result<Option<BTreeSet<String>>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(shipped)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !entry.file_type()?.is_dir() {
            continue;
        }
        if names.len() == DIRS_MAX {
            return Ok(None);
        }
        names.insert(name);
    }
    Ok(Some(names))
}

fn sentence(names: &[&str], says: Says) -> String {
    let is_one = names.len() == 1;
    let say = |one, several| if is_one { one } else { several };
    let named = names[..names.len().min(NAMED_DIRS)].join(", ");
    let more = match names.len().saturating_sub(NAMED_DIRS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let it = say("it", "one");
    let next = match says {
        Says::Names => format!("move {it} back to `episodes`, and the next pass sends it again and has its receipt"),
        Says::NamesWhole => format!(
            "this receiver, an older one, names by a hash only what is sent to it whole: set `resume-above` higher than {} so long, move {it} \
             back to `episodes`, and the next pass sends it again and has its receipt",
            say("its archive is for", "their archives are for")
        ),
        Says::Nothing => format!(
            "this receiver does not name what it has by a hash, as older ones do not, so sending {it} again brings none; remove {} yourself \
             once you have looked that the receiver has {}",
            say("it", "them"),
            say("it", "them")
        ),
        Says::Unknown => format!(
            "move {it} back to `episodes`, and the next pass sends it again; it has its receipt then if the receiver names what it has, which \
             older ones do not"
        ),
    };
    format!(
        "{} {} ({named}{more}): the ledger does not say that the receiver has {}; {next}",
        names.len(),
        say("directory in `shipped` has no receipt and stays", "directories in `shipped` have no receipt and stay"),
        say("it", "them"),
    )
}
