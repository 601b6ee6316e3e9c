//! The filter in front of the parser: whatever bytes a repository sends, what passes is UTF-8 without the characters that XML
//! forbids. Owns decoding and replacing; knows nothing of markup but the prolog's `encoding`.
//!
//! # Source
//! XML 1.0 (Fifth Edition) §2.2 (characters), §4.3.3 and appendix F (encodings).

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// How far the prolog is looked for before an answer is taken for one without.
const PROLOG_BYTES_MAX: usize = 1024;
/// How much of an answer shows whether it is UTF-16.
const SIGNATURE_BYTES: usize = 4;
/// The block in which forbidden characters are looked for, in bytes: one or two vectors.
const BLOCK_BYTES: usize = 64;

/// Bytes in, legal text out; the same text however the bytes are chopped.
pub struct Filter {
    charset: Option<&'static Encoding>,
    state: State,
    replaced: u64,
}

enum State {
    /// The encoding is not known yet; what came so far.
    Head(Vec<u8>),
    /// The beginning of a character whose end has not come, at most three bytes.
    Utf8(Vec<u8>),
    /// Another encoding, and a place to decode into.
    Other(Box<Decoder>, String),
}

impl Filter {
    /// A filter for an answer whose `Content-Type` names this charset; the prolog's own word counts for more.
    #[must_use]
    pub fn new(charset: Option<&str>) -> Self {
        let charset = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
        Self { charset, state: State::Head(Vec::new()), replaced: 0 }
    }

    /// How many characters were replaced so far because XML forbids them or because they were none.
    #[must_use]
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Appends the text of `bytes` to `out`; the end of it may wait for more.
    pub fn feed(&mut self, bytes: &[u8], out: &mut String) {
        if let State::Head(head) = &mut self.state {
            head.extend_from_slice(bytes);
            let Some(declared) = declared(head) else { return };
            let head = std::mem::take(head);
            self.begin(declared);
            return self.pass(&head, false, out);
        }
        self.pass(bytes, false, out);
    }

    /// There is no more: appends what was waiting.
    pub fn finish(&mut self, out: &mut String) {
        if let State::Head(head) = &mut self.state {
            let head = std::mem::take(head);
            self.begin(Declared::Nothing);
            self.pass(&head, false, out);
        }
        self.pass(&[], true, out);
    }

    fn begin(&mut self, declared: Declared) {
        let encoding = match declared {
            Declared::Certain(encoding) => encoding,
            Declared::Nothing => self.charset.unwrap_or(UTF_8),
        };
        self.state = if encoding == UTF_8 {
            State::Utf8(Vec::new())
        } else {
            State::Other(Box::new(encoding.new_decoder_without_bom_handling()), String::new())
        };
    }

    fn pass(&mut self, bytes: &[u8], last: bool, out: &mut String) {
        let replaced = &mut self.replaced;
        match &mut self.state {
            State::Head(_) => {}
            State::Utf8(waiting) => {
                let rest = complete(waiting, bytes, replaced, out);
                pass_utf8(rest, waiting, replaced, out);
                if last && !waiting.is_empty() {
                    waiting.clear();
                    replace(replaced, out);
                }
            }
            State::Other(decoder, scratch) => {
                scratch.clear();
                let mut rest = bytes;
                loop {
                    scratch.reserve(decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len()));
                    let (result, read) = decoder.decode_to_string_without_replacement(rest, scratch, last);
                    rest = &rest[read..];
                    match result {
                        DecoderResult::InputEmpty => break,
                        DecoderResult::Malformed(..) => {
                            push_legal(scratch, replaced, out);
                            scratch.clear();
                            replace(replaced, out);
                        }
                        DecoderResult::OutputFull => {}
                    }
                }
                push_legal(scratch, replaced, out);
            }
        }
    }
}

/// What the beginning of an answer says of its encoding.
enum Declared {
    Certain(&'static Encoding),
    Nothing,
}

/// Reads byte order mark and prolog; `None` when more of it must come first.
fn declared(head: &[u8]) -> Option<Declared> {
    match head {
        [0xFE, 0xFF, ..] | [0, b'<', 0, ..] => return Some(Declared::Certain(UTF_16BE)),
        [0xFF, 0xFE, ..] | [b'<', 0, _, 0, ..] => return Some(Declared::Certain(UTF_16LE)),
        [0xEF, 0xBB, 0xBF, ..] => return Some(Declared::Certain(UTF_8)),
        _ if head.len() < SIGNATURE_BYTES => return None,
        _ => {}
    }
    const OPENING: &[u8] = b"<?xml";
    let text = head[..head.len().min(PROLOG_BYTES_MAX)].trim_ascii_start();
    if !text.starts_with(OPENING) && !OPENING.starts_with(text) {
        return Some(Declared::Nothing);
    }
    match memchr::memmem::find(text, b"?>") {
        Some(end) => Some(declared_encoding(&text[..end]).map_or(Declared::Nothing, Declared::Certain)),
        None if head.len() >= PROLOG_BYTES_MAX => Some(Declared::Nothing),
        None => None,
    }
}

/// The encoding a prolog names, if it is one and can be what the prolog itself was read in.
fn declared_encoding(prolog: &[u8]) -> Option<&'static Encoding> {
    let after = &prolog[memchr::memmem::find(prolog, b"encoding")? + b"encoding".len()..];
    let value = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, value) = value.split_first()?;
    let label = &value[..memchr::memchr(quote, value)?];
    let encoding = Encoding::for_label(label)?;
    // Bytes that were read as ASCII are not UTF-16, whatever they say.
    Some(if encoding.is_ascii_compatible() { encoding } else { UTF_8 })
}

/// Takes from `bytes` what completes the waiting character, and gives the rest.
fn complete<'b>(waiting: &mut Vec<u8>, mut bytes: &'b [u8], replaced: &mut u64, out: &mut String) -> &'b [u8] {
    while !waiting.is_empty() {
        match std::str::from_utf8(waiting) {
            Ok(text) => {
                push_legal(text, replaced, out);
                waiting.clear();
            }
            Err(error) => match (error.error_len(), bytes.split_first()) {
                (Some(bad), _) => {
                    replace(replaced, out);
                    waiting.drain(..bad);
                }
                (None, Some((&next, rest))) => {
                    waiting.push(next);
                    bytes = rest;
                }
                (None, None) => break,
            },
        }
    }
    bytes
}

fn pass_utf8(mut bytes: &[u8], waiting: &mut Vec<u8>, replaced: &mut u64, out: &mut String) {
    loop {
        let error = match simdutf8::compat::from_utf8(bytes) {
            Ok(text) => return push_legal(text, replaced, out),
            Err(error) => error,
        };
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        let valid = simdutf8::compat::from_utf8(valid).expect("invariant: it is valid up to there");
        push_legal(valid, replaced, out);
        let Some(bad) = error.error_len() else {
            waiting.extend_from_slice(rest);
            return;
        };
        replace(replaced, out);
        bytes = &rest[bad..];
    }
}

fn replace(replaced: &mut u64, out: &mut String) {
    *replaced += 1;
    out.push(char::REPLACEMENT_CHARACTER);
}

/// Appends text, with U+FFFD for each character that XML forbids.
fn push_legal(text: &str, replaced: &mut u64, out: &mut String) {
    if is_legal_text(text) {
        return out.push_str(text);
    }
    for c in text.chars() {
        if is_legal(c) {
            out.push(c);
        } else {
            replace(replaced, out);
        }
    }
}

/// Whether XML allows a character.
pub(super) fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

/// The same of a whole text, a block at a time: almost all of it is.
fn is_legal_text(text: &str) -> bool {
    let control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    // Without an early way out inside a block, so that it is compared at once.
    let controls = |block: &[u8]| block.iter().fold(false, |any, &byte| any | control(byte));
    if text.as_bytes().chunks(BLOCK_BYTES).any(controls) {
        return false;
    }
    // U+FFFE and U+FFFF.
    let beyond = |at: usize| matches!(text.as_bytes()[at + 1..], [0xBF, 0xBE | 0xBF, ..]);
    !memchr::memchr_iter(0xEF, text.as_bytes()).any(beyond)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    fn whole(charset: Option<&str>, bytes: &[u8]) -> String {
        chopped(charset, bytes, bytes.len().max(1))
    }

    fn chopped(charset: Option<&str>, bytes: &[u8], size: usize) -> String {
        let (mut filter, mut out) = (Filter::new(charset), String::new());
        bytes.chunks(size).for_each(|chunk| filter.feed(chunk, &mut out));
        filter.finish(&mut out);
        out
    }

    #[test]
    fn what_is_legal_passes_as_it_is() {
        let text = "\n<?xml version='1.0'?><a>\ttab, ünïcödé, 漢字, 😀 \r\n \u{FFFD}\u{7F}</a>".repeat(9);
        let mut filter = Filter::new(None);
        let mut out = String::new();
        filter.feed(text.as_bytes(), &mut out);
        filter.finish(&mut out);
        assert_eq!((out, filter.replaced()), (text, 0));
    }

    #[test]
    fn what_xml_forbids_is_replaced_and_a_tab_stays() {
        let mut filter = Filter::new(None);
        let mut out = String::new();
        filter.feed("<a>\0\t\u{1}\u{B}\u{1F}é\u{FFFE}\u{FFFF}\u{FEFF}</a>".as_bytes(), &mut out);
        filter.finish(&mut out);
        assert_eq!(out, "<a>\u{FFFD}\t\u{FFFD}\u{FFFD}\u{FFFD}é\u{FFFD}\u{FFFD}\u{FEFF}</a>");
        assert_eq!(filter.replaced(), 6);
    }

    #[test]
    fn what_is_replaced_is_counted_by_the_character_in_every_encoding_however_it_is_chopped() {
        let broken = [0xD800_u16, 0x20, 0xDC00, 0x20, 1, 0xD800];
        let utf_16 = "<?xml version='1.0'?><a>".encode_utf16().chain(broken).flat_map(u16::to_le_bytes);
        let utf_8 = b"<a>\xFF \xC3 \x01\xF0\x9F".to_vec();
        for bytes in [utf_16.collect(), utf_8] {
            for size in [1, 2, 3, 5, bytes.len()] {
                let (mut filter, mut out) = (Filter::new(None), String::new());
                bytes.chunks(size).for_each(|chunk| filter.feed(chunk, &mut out));
                filter.finish(&mut out);
                let replaced = out.matches(char::REPLACEMENT_CHARACTER).count();
                assert_eq!((replaced, filter.replaced()), (4, 4), "{size} of {out}");
            }
        }
    }

    #[test]
    fn invalid_utf_8_is_replaced_as_the_standard_library_does() {
        let cases: [&[u8]; 6] = [
            b"<a>\xFF\xFE</a>",
            b"<a>\xC3(</a>",
            b"<a>\xE2\x82</a>",
            b"<a>\xED\xA0\x80</a>",
            b"<a>\xF0\x9F\x98",
            b"<a>\x80\xC3\xC3\xA9</a>",
        ];
        for bytes in cases {
            assert_eq!(whole(None, bytes), String::from_utf8_lossy(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn the_encoding_is_read_from_mark_prolog_and_content_type_in_this_order() {
        let latin = b"<?xml version='1.0' encoding=\"ISO-8859-1\"?><a>\xE9</a>";
        assert!(whole(None, latin).ends_with("<a>é</a>"));
        assert!(whole(Some("utf-8"), latin).ends_with("<a>é</a>"));
        assert!(whole(Some("windows-1252"), b"<a>\x80\xE9</a>").ends_with("<a>€é</a>"));
        assert!(
            whole(Some("iso-8859-1"), "<?xml version='1.0' encoding='UTF-8'?><a>é</a>".as_bytes()).ends_with("é</a>")
        );
        let marked: Vec<u8> = "\u{FEFF}<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(whole(None, &marked).trim_start_matches('\u{FEFF}'), "<a>é</a>");
        // It says UTF-16 in bytes that are not, or something that is no encoding.
        for encoding in ["UTF-16", "klingon"] {
            let text = format!("<?xml version='1.0' encoding='{encoding}'?><a>é</a>");
            assert_eq!(whole(None, text.as_bytes()), text);
        }
    }

    #[test]
    fn a_prolog_without_end_is_not_waited_for() {
        let text = format!("<?xml {}", "x".repeat(PROLOG_BYTES_MAX));
        let (mut filter, mut out) = (Filter::new(None), String::new());
        filter.feed(text.as_bytes(), &mut out);
        assert_eq!(out, text);
    }

    #[test]
    fn any_chopping_gives_the_same_text() {
        let samples: [&[u8]; 5] = [
            b"\n<?xml version='1.0' encoding='ISO-8859-1'?>\n<a>\xE9\x80\x01</a>",
            "<a>é漢😀\u{FFFF}\u{1}</a>".as_bytes(),
            b"<a>\xF0\x9F\x98</a>\xE2\x82",
            b"\xFF\xFE<\0a\0>\0\x3D\xD8\x00\xDE",
            b"x",
        ];
        for bytes in samples {
            for size in 1..bytes.len() {
                assert_eq!(chopped(None, bytes, size), whole(None, bytes), "{size} {bytes:?}");
            }
        }
    }
}
