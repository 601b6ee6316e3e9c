//! What can go wrong with one request. Owns its names, its sentences, and which of it may pass by itself.

use highwater_engine::contact::Unanswered;
use highwater_engine::job::Stop;

use crate::protocol::ProtocolError;

/// How much of an answer that is no answer is shown, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 400;

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
    #[error("the repository refuses: {}: {}", .0.code.as_str(), .0.message)]
    Protocol(ProtocolError),
    /// The repository answered with a status that is no success.
    #[error("the repository answered with HTTP status {status}: {}", shown(.excerpt))]
    Status {
        /// The status.
        status: u16,
        /// The beginning of its body, or where it redirects to.
        excerpt: String,
    },
    /// The repository did not answer.
    #[error("the repository did not answer")]
    Unanswered(#[source] Unanswered),
    /// The answer is not OAI-PMH, whatever its status says.
    #[error("the answer is not OAI-PMH but {}", shown(.excerpt))]
    NotOai {
        /// Its beginning; empty when it is.
        excerpt: String,
    },
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
    #[error("the answer was interrupted after {at_byte} bytes")]
    Interrupted {
        /// How many bytes came.
        at_byte: u64,
        /// What the client said.
        #[source]
        source: reqwest::Error,
    },
}

impl Fault {
    /// Whether the same request may well be answered later. Not so for what the repository refuses for good, nor for what was
    /// never seen before: a person must look at those.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => (500..600).contains(status),
            Self::Unanswered(_)
            | Self::NotOai { .. }
            | Self::Truncated { .. }
            | Self::TooSlow { .. }
            | Self::Interrupted { .. } => true,
            Self::Protocol(_) | Self::Malformed { .. } | Self::TooLarge { .. } => false,
        }
    }
}

fn shown(excerpt: &str) -> String {
    if excerpt.is_empty() { "nothing".to_owned() } else { format!("`{excerpt}`") }
}

/// The beginning of a text, on one line, fit to be shown to a person.
pub(super) fn excerpt(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)];
    let plain = |c: char| if c.is_control() || c == '\u{FEFF}' { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_short_line_without_control_characters() {
        assert_eq!(excerpt("\u{FEFF}\n<html>\r\n\t<b>\u{1B}[31mno</b>"), "<html> <b> [31mno</b>");
        assert_eq!(excerpt(&"é".repeat(1000)).len(), EXCERPT_BYTES_MAX);
    }

    #[test]
    fn what_may_pass_by_itself_is_told_from_what_will_not() {
        let status = |status| Fault::Status { status, excerpt: String::new() };
        assert!(status(500).is_transient() && status(504).is_transient());
        assert!(!status(404).is_transient() && !status(302).is_transient());
        assert!(Fault::NotOai { excerpt: String::new() }.is_transient());
        assert!(!Fault::TooLarge { what: "bytes", limit: 1 }.is_transient());
    }

    #[test]
    fn every_fault_is_a_sentence() {
        let not_oai = |excerpt: &str| Fault::NotOai { excerpt: excerpt.to_owned() }.to_string();
        assert_eq!(not_oai(""), "the answer is not OAI-PMH but nothing");
        assert_eq!(not_oai("<html>"), "the answer is not OAI-PMH but `<html>`");
        let refused = ProtocolError { code: "badArgument".into(), message: "no such set".to_owned() };
        assert_eq!(Fault::Protocol(refused).to_string(), "the repository refuses: badArgument: no such set");
    }
}
