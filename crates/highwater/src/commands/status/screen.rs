//! Where a watched status is shown: over itself on a terminal, block after block elsewhere.

use std::io::{self, IsTerminal, Write};

use anstream::ColorChoice;
use anstream::adapter::strip_str;
use highwater_engine::diagnosis::Diagnosis;
use jiff::Timestamp;
use serde::Serialize;

use crate::commands::listing::{Reader, reader};
use crate::output::Output;
use crate::table::moment;

/// To the first cell; lines that are too long are cut, so that one line is one row.
const BEGIN: &str = "\x1b[H\x1b[?7l";
/// The rest of this line, and of the screen, is empty; long lines wrap again.
const END_OF_LINE: &str = "\x1b[K\n";
const END: &str = "\x1b[J\x1b[?7h";
const CLEAR: &str = "\x1b[2J";
/// Rows that are assumed where the terminal does not say.
const ROWS_ASSUMED: u16 = 24;

pub(super) enum Screen {
    /// Redraws.
    Terminal { plain: bool, drawn: bool },
    /// Appends; a line with the time stands above each block of text, none between lines of JSON.
    Stream { json: bool },
}

impl Screen {
    pub(super) fn of(output: Output) -> Self {
        if io::stdout().is_terminal() && !output.json {
            let plain = anstream::stdout().current_choice() == ColorChoice::Never;
            return Self::Terminal { plain, drawn: false };
        }
        Self::Stream { json: output.json }
    }

    /// Shows a text in place of, or after, the one before.
    pub(super) fn show(&mut self, text: &str, at: Timestamp) -> Result<Reader, Diagnosis> {
        let frame = match self {
            Self::Terminal { plain, drawn } => {
                let text = if *plain { strip_str(text).to_string() } else { text.to_owned() };
                let clear = if std::mem::replace(drawn, true) { "" } else { CLEAR };
                format!("{clear}{}", frame(&text, rows()))
            }
            Self::Stream { json: true } => format!("{text}\n"),
            Self::Stream { json: false } => format!("--- {}\n{}\n", moment(at), strip_str(text)),
        };
        let mut stdout = io::stdout().lock();
        reader(stdout.write_all(frame.as_bytes()).and_then(|()| stdout.flush()))
    }
}

/// As many lines as fit; the last row says how many do not.
fn frame(text: &str, rows: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let shown = if lines.len() < rows { lines.len() } else { rows.saturating_sub(2) };
    let mut frame = BEGIN.to_owned();
    for line in &lines[..shown] {
        frame.push_str(line);
        frame.push_str(END_OF_LINE);
    }
    if shown < lines.len() {
        frame.push_str(&format!("… {} more lines{END_OF_LINE}", lines.len() - shown));
    }
    frame.push_str(END);
    frame
}

fn rows() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).map(|size| size.ws_row);
    usize::from(size.ok().filter(|rows| *rows > 0).unwrap_or(ROWS_ASSUMED))
}

/// One line of JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: a view is texts and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_never_has_more_rows_than_the_terminal() {
        let text = (0..50).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        for rows in 2..60 {
            let frame = frame(&text, rows);
            assert!(frame.matches('\n').count() < rows.max(3), "{rows} rows");
            assert_eq!(frame.contains("more lines"), rows <= 50, "{rows} rows");
        }
    }
}
