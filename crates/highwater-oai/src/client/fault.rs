//! What can go wrong with one request. Owns its names, its sentences, and which of it may pass by itself.

use highwater_engine::contact::Unanswered;
use highwater_engine::job::Stop;

use highwater_engine::diagnosis::with_causes;

use crate::protocol::ProtocolError;

mod stranger;

pub use stranger::{EXCERPT_BYTES_MAX, Stranger};

/// How much of what a repository says of its refusal is shown, in characters.
const REFUSAL_SHOWN_CHARS: usize = 200;

/// Why there is no answer to read.
#[derive(Debug)]
pub enum Unasked {
    /// The pass has to stop; the item in hand stays unattempted.
    Stop(Stop),
    /// The request failed.
    Fault(Fault),
}

impl From<Stop> for Unasked {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Fault> for Unasked {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The repository answered with an error of the protocol.
    #[error("the repository refuses: {}: {}", .0.code.as_str(), stranger::shortened(&.0.message, REFUSAL_SHOWN_CHARS))]
    Protocol(ProtocolError),
    /// The repository answered with a status that is no success.
    #[error("the repository answered with HTTP status {status}: {body}")]
    Status {
        /// The status.
        status: u16,
        /// Its body, or where it redirects to.
        body: Stranger,
    },
    /// The repository did not answer.
    #[error("the repository did not answer: {}", root(&.0.source))]
    Unanswered(Unanswered),
    /// The answer is not OAI-PMH, whatever its status says.
    #[error("the answer is {0} instead of OAI-PMH")]
    NotOai(Stranger),
    /// The answer is OAI-PMH but cannot be relied on.
    #[error("the answer is malformed at byte {at_byte}: {what}")]
    Malformed {
        /// Where, counted in decoded bytes.
        at_byte: u64,
        /// What is wrong.
        what: String,
    },
    /// The answer ends before its end.
    #[error("the answer breaks off after {at_byte} bytes, in {within}")]
    Truncated {
        /// How many bytes came, decoded.
        at_byte: u64,
        /// What it breaks off in.
        within: String,
    },
    /// The answer is larger than it may be.
    #[error("the answer has more than {limit} {what}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// The answer took longer than it may.
    #[error("the answer did not come to its end in time, {limit_secs} s at most")]
    TooSlow {
        /// How long it may take.
        limit_secs: u64,
    },
    /// The connection broke in the middle of the answer, or what came could not be decompressed.
    #[error("the answer was interrupted after {at_byte} bytes: {why}")]
    Interrupted {
        /// How many bytes came.
        at_byte: u64,
        /// What broke it.
        why: String,
    },
}

/// What began it all. What lies between names requests and addresses, and is too long for a sentence.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

impl Fault {
    /// Whether the same request may well be answered later. Not so for what the repository refuses for good, nor for what was
    /// never seen before: a person must look at those.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => (500..600).contains(status),
            Self::Unanswered(_)
            | Self::NotOai(_)
            | Self::Truncated { .. }
            | Self::TooSlow { .. }
            | Self::Interrupted { .. } => true,
            Self::Protocol(_) | Self::Malformed { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// What a person who has to judge it is shown besides: the beginning of what came, as it came.
    #[must_use]
    pub fn evidence(&self) -> String {
        match self {
            Self::Protocol(error) => format!("{}: {}", error.code.as_str(), error.message),
            Self::Status { body, .. } | Self::NotOai(body) => body.evidence(&self.to_string()),
            _ => with_causes(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_told_from_what_will_not() {
        let status = |status| Fault::Status { status, body: Stranger::new("") };
        assert!(status(500).is_transient() && status(504).is_transient());
        assert!(!status(404).is_transient() && !status(302).is_transient());
        assert!(Fault::NotOai(Stranger::new("")).is_transient());
        assert!(!Fault::TooLarge { what: "bytes", limit: 1 }.is_transient());
    }

    #[test]
    fn every_fault_is_a_sentence() {
        let not_oai = |body: &str| Fault::NotOai(Stranger::new(body)).to_string();
        assert_eq!(not_oai(""), "the answer is nothing instead of OAI-PMH");
        assert_eq!(not_oai("<html><title>Sign in</title>"), "the answer is HTML (\"Sign in\") instead of OAI-PMH");
        let refused = ProtocolError { code: "badArgument".into(), message: "no such set".to_owned() };
        assert_eq!(Fault::Protocol(refused).to_string(), "the repository refuses: badArgument: no such set");
    }
}
