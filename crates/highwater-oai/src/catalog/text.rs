//! Text from elsewhere, in the one form that the catalogue keeps: NFC, on one line, single spaces, never empty.

use std::borrow::Cow;

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

/// The text as words are looked for in it: letters that are no other letter with a mark, so that the index does not know it, as
/// they are typed without them, and a script without spaces as a word a character. A phrase of those is found anywhere.
pub(super) fn searched(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut searched = String::with_capacity(text.len() + text.len() / 4);
    for c in text.chars() {
        match c {
            'ß' | 'ẞ' => searched.push_str("ss"),
            'æ' | 'Æ' | 'ǽ' | 'Ǽ' | 'ǣ' | 'Ǣ' => searched.push_str("ae"),
            'œ' | 'Œ' => searched.push_str("oe"),
            'þ' | 'Þ' => searched.push_str("th"),
            'ø' | 'Ø' | 'ǿ' | 'Ǿ' => searched.push('o'),
            'ł' | 'Ł' => searched.push('l'),
            'đ' | 'Đ' | 'ð' | 'Ð' => searched.push('d'),
            'ħ' | 'Ħ' => searched.push('h'),
            'ŧ' | 'Ŧ' => searched.push('t'),
            'ı' => searched.push('i'),
            c if is_word_itself(c) => searched.extend([' ', c, ' ']),
            c => searched.push(c),
        }
    }
    Cow::Owned(searched)
}

/// Chinese characters and Japanese syllables.
fn is_word_itself(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
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
