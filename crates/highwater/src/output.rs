//! What is printed. Owns the choice between text for people and JSON for programs, and that a reader who went away is no
//! error, and a full disk is one.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use serde::Serialize;

/// Why an answer was not printed to its end.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Why what was to be printed was not: the first cause, of all that this process printed as an answer.
pub(crate) fn unprinted() -> Option<&'static str> {
    UNPRINTED.get().map(String::as_str)
}

/// Where a command prints to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// One answer: JSON in one line, or its text.
    pub(crate) fn answer(self, json: &impl Serialize, text: impl Display) {
        if self.json { self.json(json) } else { self.line(text) }
    }

    /// One JSON object in one line.
    pub(crate) fn json(self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => answer(&text),
            Err(e) => print(&mut anstream::stderr(), &format!("this answer is no JSON: {e}")),
        }
    }

    /// A line for people.
    pub(crate) fn line(self, text: impl Display) {
        answer(&text.to_string());
    }

    /// A line beside the answer; `--quiet` leaves it out.
    pub(crate) fn note(self, text: impl Display) {
        if !self.quiet {
            print(&mut anstream::stderr(), &text.to_string());
        }
    }

    /// Errors, and the exit code of the worst.
    pub(crate) fn errors(self, errors: &[Diagnosis]) -> ExitCode {
        for error in errors {
            // An error that cannot be told where it is looked for is told all the same.
            if !self.json
                || printed(&mut anstream::stdout(), &serde_json::json!({ "error": error }).to_string()).is_err()
            {
                print(&mut anstream::stderr(), &error.to_string());
            }
        }
        errors.iter().fold(ExitCode::Drained, |worst, error| worst.worst(error.exit))
    }
}

/// A pipe whose reader went away (`| head`) ends the printing, not the work. Where there is no room, the command must not end with exit 0.
fn answer(text: &str) {
    if let Err(error) = printed(&mut anstream::stdout(), text)
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNPRINTED.get_or_init(|| error.to_string());
    }
}

/// What is told beside an answer may be lost.
fn print(to: &mut impl Write, text: &str) {
    let _: io::Result<()> = printed(to, text);
}

fn printed(to: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(to, "{text}").and_then(|()| to.flush())
}
