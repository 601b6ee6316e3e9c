//! From bytes to text. Owns which encoding they are in, what is no text at all, and how lines end.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::error::Refusal;

/// What is no text.
const BINARY: Refusal = Refusal::NotRead("neither text nor a document that is read");
/// How much of a page of the web is looked at for the encoding that it names, in bytes.
const META_BYTES: usize = 1024;
/// One control character in so many of a text makes it no text.
const CONTROLS_ONE_IN: usize = 20;

/// These bytes as text, with `\n` at the end of a line and no mark of their encoding.
pub(super) fn text(bytes: &[u8]) -> Result<String, Refusal> {
    with(bytes, guess(bytes)?)
}

/// The same for a page of the web, which may name its encoding.
pub(super) fn html(bytes: &[u8]) -> Result<String, Refusal> {
    let encoding = match named(bytes) {
        Some(encoding) if Encoding::for_bom(bytes).is_none() && std::str::from_utf8(bytes).is_err() => encoding,
        _ => guess(bytes)?,
    };
    with(bytes, encoding)
}

/// What a text begins with, for a look at it; the end may be in the middle of a character.
pub(super) fn head(bytes: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let encoding = Encoding::for_bom(bytes).map_or(UTF_8, |(encoding, _)| encoding);
    if encoding == UTF_8 && bytes.contains(&0) {
        return Err(BINARY);
    }
    Ok(encoding.decode(bytes).0)
}

fn guess(bytes: &[u8]) -> Result<&'static Encoding, Refusal> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Ok(encoding);
    }
    if bytes.contains(&0) {
        return Err(BINARY);
    }
    if std::str::from_utf8(bytes).is_ok() {
        return Ok(UTF_8);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    Ok(detector.guess(None, Utf8Detection::Deny))
}

fn with(bytes: &[u8], encoding: &'static Encoding) -> Result<String, Refusal> {
    let (text, used, _) = encoding.decode(bytes);
    let controls =
        text.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}')).count();
    let wide = used == UTF_16LE || used == UTF_16BE;
    if (wide && text.contains('\0')) || controls > text.len() / CONTROLS_ONE_IN {
        return Err(BINARY);
    }
    // A form feed is a page's end for printers; the other controls say nothing to a reader.
    let text = text.replace("\r\n", "\n").replace(['\r', '\u{c}'], "\n");
    Ok(text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect())
}

/// The encoding that a page of the web names in its first bytes.
fn named(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(META_BYTES)]).to_ascii_lowercase();
    let after = ["charset=", "encoding="].iter().find_map(|word| head.split_once(word))?.1;
    let label: String = after
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_:".contains(*c))
        .collect();
    // A page whose mark could be read as ASCII is in no encoding of two bytes.
    Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != UTF_16LE && *encoding != UTF_16BE)
}
