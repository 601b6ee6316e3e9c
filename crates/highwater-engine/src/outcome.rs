//! What became of an item. Owns the words of DESIGN §2 for outcomes and which of them are terminal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest detail that is kept with an outcome, in bytes; a longer one keeps its end.
pub const DETAIL_BYTES_MAX: usize = 4096;

/// The kind of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeKind {
    /// It is drained.
    Done,
    /// The source no longer has it.
    Gone,
    /// The target had it.
    Present,
    /// A person said so.
    Skipped,
    /// A person must look.
    Review,
    /// Tried, failed, to be tried again: `retry` that counts an attempt.
    Failed,
    /// Not answered or put off, to be tried again: `retry` that counts a deferral.
    Deferred,
}

impl OutcomeKind {
    /// The word of DESIGN §2; both retries are `retry`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
            Self::Present => "present",
            Self::Skipped => "skipped",
            Self::Review => "review",
            Self::Failed | Self::Deferred => "retry",
        }
    }

    /// The terminal kind that a word names.
    #[must_use]
    pub fn terminal_from_word(word: &str) -> Option<Self> {
        [Self::Done, Self::Gone, Self::Present, Self::Skipped, Self::Review]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    /// Whether the item is drained with it.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Failed | Self::Deferred)
    }

    /// Whether the breaker counts it as a failure.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Review | Self::Failed)
    }

    /// Whether it shows that the far side works.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::Gone | Self::Present)
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What became of an item, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its kind.
    pub kind: OutcomeKind,
    /// Why, for a person: the last error, the reason for review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// It was put off for what is around it here, as a directory that this user cannot write: that is never counted as an attempt of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

impl Outcome {
    /// `done`, with nothing to say.
    #[must_use]
    pub fn done() -> Self {
        Self::plain(OutcomeKind::Done)
    }

    /// An outcome with nothing to say.
    #[must_use]
    pub fn plain(kind: OutcomeKind) -> Self {
        Self { kind, detail: None, waits: false }
    }

    /// Put off until a person mends what is around it, however long that takes and whatever others do meanwhile.
    #[must_use]
    pub fn waiting(why: impl Into<String>) -> Self {
        Self { waits: true, ..Self::because(OutcomeKind::Deferred, why) }
    }

    /// An outcome with its reason; a reason over [`DETAIL_BYTES_MAX`] keeps its end.
    #[must_use]
    pub fn because(kind: OutcomeKind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > DETAIL_BYTES_MAX {
            let cut = (detail.len() - DETAIL_BYTES_MAX..).find(|i| detail.is_char_boundary(*i)).unwrap_or(detail.len());
            detail.drain(..cut);
        }
        Self { kind, detail: (!detail.is_empty()).then_some(detail), waits: false }
    }
}
