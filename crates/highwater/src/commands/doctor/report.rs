//! What the doctor found. Owns a line's shape.

use std::fmt;

use anstyle::{AnsiColor, Style};
use highwater_engine::diagnosis::Diagnosis;
use serde::Serialize;

use crate::table::one_line;

const OK: Style = AnsiColor::Green.on_default();
const FIX: Style = AnsiColor::Red.on_default();
/// Width of what was looked at.
const WHAT_WIDTH: usize = 11;

/// One line.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Finding {
    pub(in crate::commands) ok: bool,
    /// What was looked at.
    pub(in crate::commands) what: &'static str,
    /// What was found.
    pub(in crate::commands) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) fix: Option<String>,
}

/// All lines.
#[derive(Debug, Default, Serialize)]
pub(in crate::commands) struct Report {
    pub(in crate::commands) findings: Vec<Finding>,
}

impl Report {
    pub(in crate::commands) fn ok(&mut self, what: &'static str, found: impl fmt::Display) {
        self.findings.push(Finding { ok: true, what, found: found.to_string(), fix: None });
    }

    pub(in crate::commands) fn fix(&mut self, what: &'static str, found: impl fmt::Display, fix: impl Into<String>) {
        self.findings.push(Finding { ok: false, what, found: found.to_string(), fix: Some(fix.into()) });
    }

    /// An error that something else told.
    pub(in crate::commands) fn error(&mut self, what: &'static str, error: &Diagnosis) {
        let text = error.to_string();
        let told = text.split_once("\n  next: ").map_or(&*text, |(told, _)| told);
        self.fix(what, told.trim_start_matches("error"), &error.next);
    }

    pub(in crate::commands) fn fixes(&self) -> usize {
        self.findings.iter().filter(|finding| !finding.ok).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A longer word widens the column of all.
        let longest = self.findings.iter().map(|finding| finding.what.len() + 1).max().unwrap_or_default();
        let width = longest.max(WHAT_WIDTH);
        for Finding { ok, what, found, fix } in &self.findings {
            let (style, word) = if *ok { (OK, "ok ") } else { (FIX, "fix") };
            writeln!(f, "{style}{word}{style:#}  {what:<width$}{}", one_line(found))?;
            if let Some(fix) = fix {
                writeln!(f, "     {:<width$}next: {fix}", "")?;
            }
        }
        match self.fixes() {
            0 => write!(f, "all is well"),
            1 => write!(f, "1 line needs a fix"),
            fixes => write!(f, "{fixes} lines need a fix"),
        }
    }
}
