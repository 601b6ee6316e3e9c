//! What a command prints: where it goes, and the end of stderr that is kept as evidence. Owns no process and reads no pipe.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// How much of the end of stderr is kept as evidence, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 4096;
/// Longest line that is handed on whole, in bytes; a longer one comes in parts.
pub const OUTPUT_LINE_BYTES_MAX: usize = 64 * 1024;

/// Which of its two outputs a command printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes whole lines of commands that run side by side. It is called where passes run, so it must not wait.
pub type Printer = Arc<dyn Fn(Stream, &[u8]) + Send + Sync>;

/// Where commands print to.
#[derive(Clone, Default)]
pub enum Output {
    /// To this process's own stdout and stderr, as it comes.
    #[default]
    Inherit,
    /// Through a printer, in whole lines, so that something else may share the terminal with them.
    Through(Printer),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Through(_) => "Through",
        })
    }
}

/// Hands on what one command prints to one stream.
pub(super) struct Relay {
    stream: Stream,
    output: Output,
    line: Vec<u8>,
}

impl Relay {
    pub(super) fn new(stream: Stream, output: &Output) -> Self {
        Self { stream, output: output.clone(), line: Vec::new() }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        let Output::Through(printer) = &self.output else { return self.print_as_it_comes(bytes) };
        self.line.extend_from_slice(bytes);
        let whole = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => self.line.len() - bytes.len() + newline + 1,
            None if self.line.len() >= OUTPUT_LINE_BYTES_MAX => self.line.len(),
            None => return,
        };
        printer(self.stream, &self.line[..whole]);
        self.line.drain(..whole);
    }

    /// A last line without its end is handed on with one.
    pub(super) fn end(&mut self) {
        if let (Output::Through(printer), false) = (&self.output, self.line.is_empty()) {
            self.line.push(b'\n');
            printer(self.stream, &self.line);
            self.line.clear();
        }
    }

    /// A reader of ours that went away is no reason to stop the work.
    fn print_as_it_comes(&self, bytes: &[u8]) {
        let _: std::io::Result<()> = match self.stream {
            Stream::Stdout => std::io::stdout().lock().write_all(bytes),
            Stream::Stderr => std::io::stderr().lock().write_all(bytes),
        };
    }
}

/// The last [`EVIDENCE_BYTES_MAX`] bytes of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(EVIDENCE_BYTES_MAX)..];
        let over = (self.0.len() + bytes.len()).saturating_sub(EVIDENCE_BYTES_MAX);
        self.0.drain(..over);
        self.0.extend_from_slice(bytes);
    }

    /// Its end as text of at most `bytes_max` bytes, without the white space around it.
    #[must_use]
    pub fn text(&self, bytes_max: usize) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let text = text.trim();
        let from = (text.len().saturating_sub(bytes_max)..).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        // The cut may have fallen into a character, of which the rest is no character.
        text[from..].trim_start_matches(|c: char| c == char::REPLACEMENT_CHARACTER || c.is_whitespace()).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn recorded(chunks: &[&[u8]]) -> Vec<String> {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&heard);
        let output = Output::Through(Arc::new(move |_, line: &[u8]| {
            log.lock().unwrap().push(String::from_utf8_lossy(line).into_owned());
        }));
        let mut relay = Relay::new(Stream::Stderr, &output);
        for chunk in chunks {
            relay.take(chunk);
        }
        relay.end();
        let heard = heard.lock().unwrap();
        heard.clone()
    }

    #[test]
    fn a_printer_gets_whole_lines_and_the_last_one_with_an_end() {
        assert_eq!(recorded(&[b"a", b"b\nc\nd", b"", b"e\n", b"f"]), ["ab\nc\n", "de\n", "f\n"]);
        assert!(recorded(&[]).is_empty());
    }

    #[test]
    fn a_line_without_end_comes_in_parts() {
        let half = vec![b'x'; OUTPUT_LINE_BYTES_MAX / 2];
        let lengths: Vec<_> = recorded(&[&half, &half, &half]).iter().map(String::len).collect();
        assert_eq!(lengths, [OUTPUT_LINE_BYTES_MAX, OUTPUT_LINE_BYTES_MAX / 2 + 1]);
    }

    #[test]
    fn a_tail_is_the_end_however_it_came() {
        let all: Vec<u8> = (0..20_000u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
        let end = String::from_utf8(all[all.len() - EVIDENCE_BYTES_MAX..].to_vec()).unwrap();
        for size in [1, 7, 4095, 4096, 4097, 20_000] {
            let mut tail = Tail::default();
            all.chunks(size).for_each(|chunk| tail.take(chunk));
            assert_eq!(tail.text(EVIDENCE_BYTES_MAX), end, "in chunks of {size}");
        }
        let mut tail = Tail::default();
        tail.take(&all);
        assert_eq!(tail.text(10), end[EVIDENCE_BYTES_MAX - 10..]);
    }

    #[test]
    fn a_tail_never_begins_within_a_character() {
        let mut tail = Tail::default();
        tail.take("ü".repeat(EVIDENCE_BYTES_MAX).as_bytes());
        tail.take(b"!\n");
        assert_eq!(tail.text(EVIDENCE_BYTES_MAX), format!("{}!", "ü".repeat(EVIDENCE_BYTES_MAX / 2 - 1)));
        assert_eq!(tail.text(4), "ü!");
    }
}
