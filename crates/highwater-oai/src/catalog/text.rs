//! Text from elsewhere, in the one form that the catalogue keeps: NFC, on one line, single spaces, never empty.

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// The text in the catalogue's form; `None` where nothing is left. Control characters are spaces.
pub(super) fn clean(text: &str) -> Option<String> {
    let mut clean = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !clean.is_empty() {
            clean.push(' ');
        }
        clean.push_str(word);
    }
    if clean.is_empty() {
        return None;
    }
    if clean.is_ascii() {
        return Some(clean);
    }
    match is_nfc_quick(clean.chars()) {
        IsNormalized::Yes => Some(clean),
        IsNormalized::No | IsNormalized::Maybe => Some(clean.nfc().collect()),
    }
}

fn is_space(c: char) -> bool {
    // A byte order mark within text is one that was not at its beginning once.
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

/// Without what steers a terminal or makes a line read as what it is not.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_on_one_line_in_nfc_and_never_empty() {
        assert_eq!(clean("\n  Europa\u{308}ische\t\u{1}Union \u{feff}").as_deref(), Some("Europäische Union"));
        assert_eq!(clean(" \r\n\u{0}\u{a0}"), None);
    }

    #[test]
    fn what_steers_a_terminal_is_replaced() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
