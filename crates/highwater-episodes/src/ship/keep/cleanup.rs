//! What one pass did to the shipped episodes that were due. Owns what is counted of it, and in which words it is told.

use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::ledger::DoneItem;
use highwater_engine::report::counted;
use jiff::Timestamp;

use super::shelf::Shelf;
use super::{Keeping, is_a_day_ago, received};
use crate::ship::holds::Holds;
use crate::ship::retire::{Cleared, RetireError};

/// Most episodes that one pass removes, and about the most files of them.
const EPISODES_A_PASS_MAX: u64 = 200;
const FILES_A_PASS_MAX: u64 = 100_000;
/// About the most bytes of them that one pass reads, where a look does not show that one is what was sent.
const READ_BYTES_A_PASS_MAX: u64 = 32 << 30;
/// Removed episodes that one event names.
const RECORDED_TOGETHER: usize = 10;
/// Episodes that are named.
const NAMED_MAX: usize = 5;

/// What came of one that is due.
pub(super) enum Clearing {
    Cleared(Cleared, Holds),
    /// No receipt: it never goes.
    NoReceipt,
    /// Its receipt does not say what it held, or the receiver would have to, and does not.
    Unnamed,
    /// The receiver has none of its name that is whole, or another one; or another one was withdrawn there.
    Lost,
    /// The receiver does not say what it has of this one, for this cause.
    Unsaid(String),
    /// Nor, as it seems, of any other.
    Unanswered(String),
    /// It is not contacted in this pass any more.
    Over,
    /// It could not be removed.
    Failed(RetireError),
    /// It could not be looked at, and the receiver was not asked.
    Unseen(RetireError),
    /// It may go, and is not due.
    Early,
}

impl Clearing {
    /// Whether the receiver said what it has of it, or that it cannot say so of this one.
    pub(super) fn was_asked(&self) -> bool {
        match self {
            Self::Cleared(cleared, _) => !matches!(cleared, Cleared::Gone | Cleared::Held),
            Self::Unnamed | Self::Lost | Self::Unsaid(_) | Self::Failed(_) | Self::Early => true,
            Self::NoReceipt | Self::Unseen(_) | Self::Unanswered(_) | Self::Over => false,
        }
    }

    /// Whether that may be so of every other.
    pub(super) fn is_nobodys(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::Over)
    }

    /// Whether it was removed.
    pub(super) fn is_removed(&self) -> bool {
        matches!(self, Self::Cleared(Cleared::Removed { .. }, _))
    }

    /// Whether no other can be asked for.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Whether it stays for good, which is told once.
    pub(super) fn is_for_good(&self) -> bool {
        matches!(self, Self::Cleared(Cleared::Differs { .. }, _) | Self::Unnamed)
    }

    /// Whether it is to be asked for again; and whether that is since the receiver lost it.
    pub(super) fn stays(&self) -> Option<bool> {
        match self {
            Self::Lost => Some(true),
            Self::Unsaid(_) | Self::Unanswered(_) | Self::Over | Self::Failed(_) | Self::Unseen(_) | Self::Early => {
                Some(false)
            }
            Self::Cleared(..) | Self::NoReceipt | Self::Unnamed => None,
        }
    }
}

/// What one pass removed, and what it could not.
#[derive(Debug, Default)]
pub(super) struct Cleanup {
    episodes: u64,
    files: u64,
    bytes: u64,
    /// No longer what was sent.
    differ: u64,
    /// Sent by an older version, and the receiver does not name what they hold.
    unnamed: u64,
    /// Of these it was found out in this pass that the receiver has them no longer, or others.
    lost: Vec<String>,
    /// The receipt of one that it lost does not say under whose name it was sent.
    hostless: bool,
    /// Why the first one stays of which the receiver does not say that it has it.
    unanswered: Option<String>,
    read_bytes: u64,
    /// What was removed and is in no event yet.
    removed: Vec<String>,
    failures: u64,
    failed: Option<String>,
    /// Whether the receiver said nothing of any.
    pub(super) is_nobody: bool,
    pub(super) more: bool,
}

impl Cleanup {
    pub(super) fn is_spent(&self) -> bool {
        self.episodes >= EPISODES_A_PASS_MAX
            || self.files >= FILES_A_PASS_MAX
            || self.read_bytes >= READ_BYTES_A_PASS_MAX
    }

    /// Records which were removed, by name: of so many together, and of all at the end.
    pub(super) async fn record(&mut self, cx: &ReadCx, keeping: Keeping, is_end: bool) -> Result<(), Stop> {
        if self.removed.is_empty() || self.removed.len() < RECORDED_TOGETHER && !is_end {
            return Ok(());
        }
        let names = std::mem::take(&mut self.removed);
        let removed =
            format!("removed {}, for {keeping}: {}", counted(names.len() as u64, "shipped episode"), names.join(", "));
        cx.add_event("remove", &removed).await
    }

    /// Takes in what became of one, which may have been asked for before.
    pub(super) fn add(&mut self, item: &DoneItem, cleared: Clearing, again: bool) {
        match cleared {
            Clearing::Cleared(Cleared::Removed { read_bytes }, holds) => {
                self.read_bytes = self.read_bytes.saturating_add(read_bytes);
                self.episodes += 1;
                self.files += holds.files;
                self.bytes = self.bytes.saturating_add(holds.bytes);
                tracing::info!(episode = %item.key, "removed from `shipped`: the receiver has it");
                self.removed.push(item.key.to_string());
            }
            Clearing::Cleared(Cleared::Differs { read_bytes }, _) => {
                self.read_bytes = self.read_bytes.saturating_add(read_bytes);
                tracing::warn!(episode = %item.key, "it is no longer what was sent and stays in `shipped`");
                self.differ += 1;
            }
            Clearing::Unnamed => {
                tracing::warn!(episode = %item.key, "the receiver does not name what it holds: it stays in `shipped`");
                self.unnamed += 1;
            }
            Clearing::Lost => {
                tracing::warn!(episode = %item.key, "the receiver does not have it any more: it stays in `shipped`");
                self.hostless |= received(item).is_some_and(|(_, receipt)| receipt.host.is_none());
                if !again {
                    self.lost.push(item.key.to_string());
                }
            }
            Clearing::Unsaid(why) | Clearing::Unanswered(why) => drop(self.unanswered.get_or_insert(why)),
            Clearing::Over => {
                self.unanswered.get_or_insert("it is not contacted in this pass any more".to_owned());
            }
            Clearing::Cleared(Cleared::Gone | Cleared::Held, _) | Clearing::NoReceipt | Clearing::Early => {}
            Clearing::Failed(error) | Clearing::Unseen(error) => {
                self.failures += 1;
                self.failed.get_or_insert_with(|| with_causes(&error));
            }
        }
    }

    /// What is told of those that the receiver lost, and what else it may be.
    fn told_lost(&self, names: &[String], more: u64, asked: &Asked) -> String {
        let told = lost(names, more, asked);
        if !self.hostless {
            return told;
        }
        format!(
            "{told}; what was sent under an earlier `host-id` by an older version is not asked for under that, and may be there"
        )
    }

    /// Tells of it in the report, and of what was removed or lost in an event.
    pub(super) async fn tell(
        &self,
        cx: &mut CommitCx,
        shelf: &mut Shelf,
        keeping: Keeping,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let Self { episodes, bytes, differ, unnamed, unanswered, failures, failed, more, .. } = self;
        if *episodes > 0 {
            let removed = format!("removed {} of {bytes} bytes, for {keeping}", counted(*episodes, "shipped episode"));
            cx.notes.push(if *more { format!("{removed}; the next pass removes more") } else { removed });
        }
        if *differ > 0 {
            cx.notes.push(format!(
                "{} no longer what was sent and {} in `shipped` for good; the log names {}; so that one goes, take back what was changed \
                 in it, and move it back to `episodes`",
                are(*differ),
                if *differ == 1 { "stays" } else { "stay" },
                if *differ == 1 { "it" } else { "them" },
            ));
        }
        if !self.lost.is_empty() {
            cx.read.add_event("keep", &self.told_lost(&self.lost, 0, &Asked::Now(keeping))).await?;
        }
        let all: Vec<String> = shelf.lost().map(ToString::to_string).collect();
        // While those beyond the list are asked for again, their number is not known.
        let is_known = shelf.again.is_none() || self.is_nobody;
        if !all.is_empty() && is_known && (!self.lost.is_empty() || is_a_day_ago(shelf.told_lost_at, now)) {
            let asked = match shelf.lost_asked().filter(|asked| *asked < now) {
                Some(asked) => Asked::At(asked),
                None if shelf.waiting.iter().any(|waiting| waiting.lost && waiting.early) => Asked::Early,
                None => Asked::Now(keeping),
            };
            cx.notes.push(self.told_lost(&all, shelf.lost_more, &asked));
            shelf.told_lost_at = now;
        }
        let ahead: Vec<String> =
            shelf.ahead().map(|(episode, at)| format!("{episode}: {}", at.strftime("%F"))).collect();
        if !ahead.is_empty() && is_a_day_ago(shelf.told_ahead_at, now) {
            cx.notes.push(of_times_to_come(&ahead));
            shelf.told_ahead_at = now;
        }
        let waits = shelf.waiting.len() - all.len() - ahead.len();
        if let Some(why) = unanswered {
            let (which, them) = match waits {
                waits if self.is_nobody || waits == 0 => ("shipped episodes that are".to_owned(), "them"),
                1 => ("1 shipped episode that is".to_owned(), "it"),
                waits => (format!("{} that are", counted(waits as u64, "shipped episode")), "them"),
            };
            let stay = if them == "it" { "stays" } else { "stay" };
            cx.notes
                .push(format!("{which} due for {keeping} {stay} until the receiver says that it has {them}: {why}"));
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
}

fn are(episodes: u64) -> String {
    format!("{} {}", counted(episodes, "shipped episode"), if episodes == 1 { "is" } else { "are" })
}

/// What is told of those whose rows are of a time to come.
fn of_times_to_come(ahead: &[String]) -> String {
    let mut named = ahead[..ahead.len().min(NAMED_MAX)].join(", ");
    if ahead.len() > NAMED_MAX {
        named.push_str(&format!(" and {} more", ahead.len() - NAMED_MAX));
    }
    let (were, stay) = if ahead.len() == 1 { ("was", "it stays") } else { ("were", "they stay") };
    format!(
        "{} {were} recorded as sent at a time to come, by a clock that was ahead of what it is now ({named}): {stay} until `keep-time` has passed \
         from then; if the clock is right now, move back to `episodes` what may go earlier: it is sent again, answered 200, and has another receipt",
        counted(ahead.len() as u64, "shipped episode"),
    )
}

/// When it was that the receiver said so of those that it lost.
enum Asked {
    /// In this pass, and all are due.
    Now(Keeping),
    /// In this pass, and not all are due any more.
    Early,
    /// Of some it was then.
    At(Timestamp),
}

/// What is told of those that the receiver lost.
fn lost(names: &[String], more: u64, asked: &Asked) -> String {
    let all = names.len() as u64 + more;
    let mut named = names.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all > NAMED_MAX as u64 {
        named.push_str(&format!(" and {} more", all - NAMED_MAX as u64));
    }
    let stay = if all == 1 { "it stays" } else { "they stay" };
    let lost = match asked {
        Asked::Now(keeping) => {
            format!("{} due for {keeping}, and the receiver does not have what was sent any more", are(all))
        }
        Asked::Early => {
            format!("the receiver does not have what was sent of {} any more", counted(all, "shipped episode"))
        }
        Asked::At(asked) => format!(
            "the receiver does not have what was sent of {} any more, as it said when it was asked last, on {}",
            counted(all, "shipped episode"),
            asked.strftime("%F"),
        ),
    };
    format!(
        "{lost}: {stay} in `shipped` ({named}); to send one again, move it back to `episodes`, under another name where its own was withdrawn \
         there; what is wanted nowhere any more, remove yourself"
    )
}
