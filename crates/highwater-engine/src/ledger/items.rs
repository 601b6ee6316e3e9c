//! The rows of a worklist's items, as the engine and people see them, and which of them are asked for. Owns their shape, no rule.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::{ItemKey, PassId};
use crate::outcome::{Outcome, OutcomeKind};
use crate::worklist::Tally;

/// What is written before an item's effect, so that a crash can be told from a start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Its effect may have begun.
    Started,
    /// It is prepared; the job's own bytes, if it kept any.
    Prepared(Option<Vec<u8>>),
    /// Its outcome is known and waits for its turn.
    Judged(Outcome),
}

/// An item that is still to be drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenItem {
    /// Its position in the worklist, from 0.
    pub position: u64,
    /// Its place in plan order: (attempts + deferrals, position).
    pub rank: u32,
    /// What makes it itself.
    pub key: ItemKey,
    /// What the job pinned with it.
    pub payload: Vec<u8>,
    /// Attempts that counted.
    pub attempts: u32,
    /// An intent that a crash left.
    pub intent: Option<Intent>,
}

/// One thing to record of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// What is about to happen.
    Intent {
        /// The item.
        position: u64,
        /// What.
        intent: Intent,
    },
    /// What became of it; takes its intent away.
    Outcome {
        /// The item.
        position: u64,
        /// What.
        outcome: Outcome,
    },
    /// The item was left as it was, for certain: takes its intent away.
    Withdraw {
        /// The item.
        position: u64,
    },
}

/// What a group of entries became.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The figures after it.
    pub tally: Tally,
    /// The kinds as recorded, in the order of the outcomes given.
    pub kinds: Vec<OutcomeKind>,
}

/// An item as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct ItemRecord {
    /// Its position in the worklist, from 0.
    pub position: u64,
    /// What makes it itself.
    pub key: ItemKey,
    /// Its last outcome; `None` while untried.
    pub outcome: Option<OutcomeKind>,
    /// Why.
    pub detail: Option<String>,
    /// Attempts that counted.
    pub attempts: u32,
    /// Deferrals.
    pub deferrals: u32,
    /// When its outcome was recorded.
    pub recorded_at: Option<Timestamp>,
    /// The how-manieth outcome of the worklist it was, from 1.
    pub recorded_no: Option<u64>,
    /// The pass that recorded it.
    pub pass: Option<PassId>,
}

/// A place in all outcomes of a job: those of an earlier worklist come first, and of a worklist those that were recorded first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DonePlace {
    /// The number of the worklist.
    pub worklist: i64,
    /// The how-manieth outcome of the worklist.
    pub recorded_no: u64,
}

/// An item that is done, in whichever worklist of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneItem {
    /// Where it stands among the outcomes of the job.
    pub place: DonePlace,
    /// What makes it itself.
    pub key: ItemKey,
    /// What was recorded with it.
    pub detail: Option<String>,
    /// When.
    pub recorded_at: Timestamp,
}

/// A page of what is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DonePage {
    /// The items, in the order of their places.
    pub items: Vec<DoneItem>,
    /// How far was looked: the next page goes on after it.
    pub reached: DonePlace,
    /// Whether nothing is behind it, as of now.
    pub end: bool,
}

/// Which items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemFilter {
    /// All.
    All,
    /// Those without a terminal outcome.
    Open,
    /// Those with an outcome that `word()`s so; `retry` takes both retries.
    Outcome(String),
    /// Those with these keys.
    Keys(Vec<ItemKey>),
}

/// In which order items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemOrder {
    /// The list's.
    Position,
    /// The order in which their outcomes were recorded; items without one are left out.
    Recorded,
}
