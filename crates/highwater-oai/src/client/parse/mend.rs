//! References that a parser would refuse, mended in one record's text before it is read: an entity that only a DTD could
//! declare stays the text it is, a character that XML forbids becomes U+FFFD, an ampersand that is just an ampersand and a
//! `]]>` that is just text are escaped. Owns that; nothing is ever expanded.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memmem};

use super::markup::{Kind, Scanner};
use crate::client::filter::is_legal;

/// Longest reference that is looked at, in bytes: leading zeros are legal.
const REFERENCE_BYTES_MAX: usize = 64;
const CDATA_END: &str = "]]>";

/// The text with every reference one that XML predefines; as it is when it has no other, as nearly all do.
pub(super) fn mend(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let sound = |at| matches!(reference(&text[at..]), Reference::Sound(_));
    if memchr_iter(b'&', bytes).all(sound) && memmem::find(bytes, CDATA_END.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut scanner = Scanner::default();
    let mut done = 0;
    while let Some(markup) = scanner.next(text) {
        mend_text(&text[done..markup.start], &mut out);
        match markup.kind {
            Kind::Other => out.push_str(markup.text(text)),
            _ => mend_references(markup.text(text), &mut out),
        }
        done = markup.end;
    }
    mend_text(&text[done..], &mut out);
    Cow::Owned(out)
}

fn mend_text(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memmem::find(rest.as_bytes(), CDATA_END.as_bytes()) {
        mend_references(&rest[..at], out);
        out.push_str("]]&gt;");
        rest = &rest[at + CDATA_END.len()..];
    }
    mend_references(rest, out);
}

fn mend_references(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = match reference(from) {
            Reference::Sound(length) => {
                out.push_str(&from[..length]);
                length
            }
            Reference::Forbidden(length) => {
                out.push(char::REPLACEMENT_CHARACTER);
                length
            }
            Reference::Unknown => {
                out.push_str("&amp;");
                1
            }
        };
        rest = &from[length..];
    }
    out.push_str(rest);
}

/// What an ampersand begins, and how long it is.
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    /// A predefined entity, or a character that XML allows.
    Sound(usize),
    /// A character that it does not.
    Forbidden(usize),
    /// Anything else.
    Unknown,
}

fn reference(from: &str) -> Reference {
    let window = &from.as_bytes()[1..from.len().min(REFERENCE_BYTES_MAX)];
    let Some(end) = memchr(b';', window) else { return Reference::Unknown };
    let (name, length) = (&from[1..=end], end + 2);
    if matches!(name, "amp" | "lt" | "gt" | "quot" | "apos") {
        return Reference::Sound(length);
    }
    let (digits, radix) = match (name.strip_prefix("#x"), name.strip_prefix('#')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 10),
        (None, None) => return Reference::Unknown,
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Reference::Unknown;
    }
    match u32::from_str_radix(digits, radix).ok().and_then(char::from_u32) {
        Some(c) if is_legal(c) => Reference::Sound(length),
        _ => Reference::Forbidden(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sound_is_not_copied() {
        let sound = "<a b='&quot;&#x9;'>&lt;&amp;&gt;&apos;&#0000000065;&#x1F600;</a>";
        assert!(matches!(mend(sound), Cow::Borrowed(text) if text == sound));
    }

    #[test]
    fn an_entity_of_a_dtd_stays_the_text_it_is() {
        assert_eq!(mend("<a b='&c;'>&nbsp;&lol9; R&D &</a>"), "<a b='&amp;c;'>&amp;nbsp;&amp;lol9; R&amp;D &amp;</a>");
    }

    #[test]
    fn a_reference_to_a_forbidden_character_is_replaced() {
        assert_eq!(
            mend("&#0;&#x1F;&#xFFFF;&#xD800;&#99999999999;&#9;"),
            "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}&#9;"
        );
        assert_eq!(mend("&#;&#x;&#-1;&#X41;&#xG;"), "&amp;#;&amp;#x;&amp;#-1;&amp;#X41;&amp;#xG;");
    }

    #[test]
    fn cdata_comments_and_instructions_stay_as_they_are() {
        let text = "<a><![CDATA[R&D]]><!-- R&D --><?p R&D?></a>";
        assert_eq!(mend(text), text);
        assert_eq!(mend("<a>x]]>y<![CDATA[R&D]]></a>"), "<a>x]]&gt;y<![CDATA[R&D]]></a>");
    }

    #[test]
    fn an_ampersand_before_a_wide_character_is_escaped() {
        let text = format!("&{}é", "x".repeat(REFERENCE_BYTES_MAX - 2));
        assert_eq!(mend(&text), format!("&amp;{}", &text[1..]));
    }
}
