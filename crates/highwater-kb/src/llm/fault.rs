//! Why a model said nothing. Owns what each reason does to the document in hand and to the pass: a key that is wrong is wrong for all of
//! them, a text that is too long is one document's own.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;

use crate::compile::CompileError;

/// The endpoint refuses the key.
pub const KEY_REFUSED: &str = "HW-KB-036";
/// The endpoint refuses what is asked.
pub const REQUEST_REFUSED: &str = "HW-KB-037";

/// Why a model said nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsaid {
    /// The pass stops.
    #[error("the pass stops")]
    Stop(Stop),
    /// To be asked again, by another pass.
    #[error("{}", .0.detail.as_deref().unwrap_or("to be asked again"))]
    Later(Outcome),
    /// It cannot be asked that.
    #[error("{0}")]
    TooLong(String),
}

impl From<Stop> for Unsaid {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Unsaid> for CompileError {
    fn from(unsaid: Unsaid) -> Self {
        match unsaid {
            Unsaid::Stop(stop) => Self::Stop(stop),
            Unsaid::Later(outcome) => Self::Later(outcome),
            Unsaid::TooLong(why) => Self::Review(why),
        }
    }
}

/// There was no answer: it counts no attempt, and nothing else is begun in this pass.
pub(super) fn unanswered(cx: &ReadCx, why: String) -> Unsaid {
    winding_down(cx, OutcomeKind::Deferred, why)
}

/// What answered is unwell: that counts an attempt, and nothing else is begun in this pass.
pub(super) fn unwell(cx: &ReadCx, why: String) -> Unsaid {
    winding_down(cx, OutcomeKind::Failed, why)
}

fn winding_down(cx: &ReadCx, kind: OutcomeKind, why: String) -> Unsaid {
    cx.contacts.wind_down(Stop::checkpoint(Reason::Network, why.clone()));
    Unsaid::Later(Outcome::because(kind, why))
}

/// What a status says of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The key.
    Key,
    /// Its length.
    Length,
    /// Anything else of it.
    Request,
    /// Nothing: the endpoint is unwell.
    Nothing,
    /// Nothing: it did not answer in time.
    Time,
}

/// What a refusal means. 429 and 503 never come here.
pub(super) fn refused(status: u16, words: &str, code: &str) -> Refused {
    let words = words.to_lowercase();
    let is_long = code.contains("context_length") || code.contains("context_size") || {
        words.contains("context") && ["length", "size", "window"].iter().any(|word| words.contains(word))
    };
    match status {
        401 | 403 => Refused::Key,
        408 => Refused::Time,
        413 => Refused::Length,
        400 | 422 | 500 if is_long => Refused::Length,
        500.. => Refused::Nothing,
        _ => Refused::Request,
    }
}

impl Refused {
    /// What a person is told, and what becomes of the document.
    pub(super) fn told(self, cx: &ReadCx, host: String, status: u16, words: &str) -> Unsaid {
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        match self {
            Self::Key => Unsaid::Stop(Stop::Fail(Diagnosis::refusal(
                KEY_REFUSED,
                format!("{host} refuses the key ({status}){said}"),
                "put a key that it takes into an environment variable, and name that: `--llm-key-env NAME`, or `key-env` of the job's `llm`",
            ))),
            Self::Request => Unsaid::Stop(Stop::Fail(Diagnosis::refusal(
                REQUEST_REFUSED,
                format!("{host} refuses what it is asked ({status}){said}"),
                "check the address and the model's name: `--llm-url` and `--llm-model`, or `url` and `model` of the job's `llm`",
            ))),
            Self::Length => Unsaid::TooLong(format!(
                "it is too long for the model ({status}){said}; with a lower `--llm-context`, or `context` of the job's `llm`, it is read in smaller parts"
            )),
            Self::Time => unanswered(cx, format!("{host} did not answer in time ({status}){said}")),
            Self::Nothing => unwell(cx, format!("{host} fails ({status}){said}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_endpoints_say_of_a_refusal_is_understood() {
        let long = "This model's maximum context length is 8192 tokens.";
        for (status, words, code, meant) in [
            (401, "Incorrect API key provided", "invalid_api_key", Refused::Key),
            (403, "", "", Refused::Key),
            (404, "The model `x` does not exist", "model_not_found", Refused::Request),
            (400, long, "context_length_exceeded", Refused::Length),
            (400, "too long", "exceed_context_size_error", Refused::Length),
            (500, "Context size has been exceeded.", "server_error", Refused::Length),
            (413, "", "", Refused::Length),
            (400, "Unsupported parameter: 'max_tokens'", "unsupported_parameter", Refused::Request),
            (302, "", "", Refused::Request),
            (408, "", "", Refused::Time),
            (502, "bad gateway", "", Refused::Nothing),
            (529, "overloaded", "", Refused::Nothing),
        ] {
            assert_eq!(refused(status, words, code), meant, "{status} {words}");
        }
    }
}
