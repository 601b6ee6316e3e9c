//! What a check of a ledger says, whichever database it is on.

use std::fmt;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckLine {
    /// Whether it holds.
    pub ok: bool,
    /// What was checked, and what was found.
    pub text: String,
}

impl CheckLine {
    pub(crate) fn ok(text: impl Into<String>) -> Self {
        Self { ok: true, text: text.into() }
    }

    pub(crate) fn wrong(text: impl Into<String>) -> Self {
        Self { ok: false, text: text.into() }
    }
}

impl fmt::Display for CheckLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.ok { "ok" } else { "wrong" }, self.text)
    }
}
