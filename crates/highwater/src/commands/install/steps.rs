//! What became of each step of an installation. Owns a step's shape, and how the whole is told.

use std::fmt;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::put::Put;
use crate::table::line;

const DONE: Style = AnsiColor::Green.on_default();
const LEFT: Style = AnsiColor::Yellow.on_default();
/// Width of what became of it.
const STATE_WIDTH: usize = 12;
/// Width of what it was.
const WHAT_WIDTH: usize = 14;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// It was not done before.
    Done,
    /// It was done before.
    AsItWas,
    /// It is not done, and a call without `--dry-run` does it.
    WouldDo,
    /// A person does it.
    Left,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    pub(super) state: State,
    /// What was looked at.
    pub(super) what: &'static str,
    /// Which one, and what was found where something is left to do.
    pub(super) found: String,
    /// What a person does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

impl State {
    pub(super) fn of(put: Put, rehearse: bool) -> Self {
        match (put, rehearse) {
            (Put::AsItWas, _) => Self::AsItWas,
            (_, true) => Self::WouldDo,
            (_, false) => Self::Done,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AsItWas => "already so",
            Self::WouldDo => "would do",
            Self::Left => "left to you",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = match self.state {
            State::Done | State::AsItWas => DONE,
            State::WouldDo | State::Left => LEFT,
        };
        let (word, what) = (self.state.word(), self.what);
        write!(f, "{style}{word:<STATE_WIDTH$}{style:#} {what:<WHAT_WIDTH$}{}", line(&self.found))?;
        match &self.next {
            Some(next) => write!(f, "\n{:<1$} next: {next}", "", STATE_WIDTH + WHAT_WIDTH),
            None => Ok(()),
        }
    }
}
