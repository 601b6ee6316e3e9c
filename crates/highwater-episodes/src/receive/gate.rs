//! The gate: which code may record. Owns what is asked of one and what it may say; [`Off`] asks nothing.

use std::fmt;
use std::time::Duration;

pub use crate::gate::Judge;
use crate::index::Gate as Passed;

/// What a shipper says of the code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// The commit, as it was sent; `None` where none was.
    pub commit: Option<String>,
    /// Whose it is.
    pub judge: Judge,
}

/// What a gate says to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass; the row says how, where it was not by being in the window.
    Accepted {
        /// How it passed.
        gate: Option<Passed>,
    },
    /// No commit was sent: 400.
    Missing {
        /// The commands that mend it.
        remediation: Option<String>,
    },
    /// What was sent is no commit, or is judged by what this gate does not judge: 400.
    Malformed {
        /// What is wrong with it.
        detail: String,
        /// The commands that mend it.
        remediation: Option<String>,
    },
    /// The code is out of date: 412.
    Outdated {
        /// The commit that was sent.
        your_commit: String,
        /// The newest that is accepted.
        head_commit: String,
        /// The commands that mend it.
        remediation: Option<String>,
    },
    /// The gate cannot judge yet: 503.
    Unready {
        /// When to ask again.
        retry_after: Duration,
    },
}

/// Judges code. It is asked for each upload and must answer from memory.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Judges a claim.
    fn judge(&self, claim: &Claim) -> Verdict;

    /// Whose commits it judges.
    fn judges(&self) -> Vec<Judge>;
}

/// No gate: whatever comes may pass, and its row says that nothing was judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Off;

impl Gate for Off {
    fn judge(&self, _: &Claim) -> Verdict {
        Verdict::Accepted { gate: Some(Passed::Off) }
    }

    fn judges(&self) -> Vec<Judge> {
        Judge::ALL.to_vec()
    }
}
