//! A key as people read it. Owns that NULL looks like no text, and that text from elsewhere steers nothing it is shown in.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::Key;

/// NULL.
const NULL: &str = "–";
/// NULL, where only ASCII is shown.
const NULL_ASCII: &str = "-";

impl Key {
    /// The key in at most so many columns.
    #[must_use]
    pub fn label(&self, columns: usize, is_ascii: bool) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Null => if is_ascii { NULL_ASCII } else { NULL }.to_owned(),
            Self::Others(1) => "1 other".to_owned(),
            Self::Others(count) => format!("{} others", super::Number::Exact((*count).into()).grouped()),
            Self::Value(text) => {
                let shown = plain(text, columns);
                let is_odd = text.trim() != text || ["", NULL, NULL_ASCII].contains(&text.as_str());
                if is_odd { format!("\"{shown}\"") } else { shown }
            }
        }
    }
}

/// Text on one line in at most so many columns: what is not to be seen is escaped, the rest cut.
#[must_use]
pub fn plain(text: &str, columns: usize) -> String {
    let mut shown = String::new();
    let mut taken = 0;
    for c in text.chars() {
        let before = shown.len();
        if is_unseen(c) {
            write!(shown, "{}", c.escape_default()).expect("invariant: a String takes every write");
        } else {
            shown.push(c);
        }
        taken += shown[before..].chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
        if taken > columns {
            // Room for the sign that says so.
            while taken >= columns {
                let Some(last) = shown.pop() else { break };
                taken -= last.width().unwrap_or(0);
            }
            shown.push('…');
            break;
        }
    }
    shown
}

/// Controls, what changes the direction of the text after it, and what XML has no way to write.
fn is_unseen(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    c.is_control() || reorders || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> String {
        Key::Value(text.to_owned()).label(12, false)
    }

    #[test]
    fn null_looks_like_no_text() {
        assert_eq!(Key::Null.label(12, false), "–");
        assert_eq!(Key::Null.label(12, true), "-");
        assert_eq!(["", "-", "–", " a ", "a"].map(label), ["\"\"", "\"-\"", "\"–\"", "\" a \"", "a"]);
        assert_eq!([Key::Others(1), Key::Others(1_234)].map(|key| key.label(12, false)), ["1 other", "1,234 others"]);
    }

    #[test]
    fn text_from_elsewhere_steers_nothing_and_fits() {
        assert_eq!(label("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(label("ab\nc\u{202e}"), "ab\\nc\\u{202…");
        assert_eq!(label("\u{ffff}"), "\\u{ffff}");
        assert_eq!(label("本本本本本本"), "本本本本本本");
        assert_eq!(label("本本本本本本本"), "本本本本本…");
        assert_eq!(label(&"k".repeat(10_000)), format!("{}…", "k".repeat(11)));
        assert_eq!(plain("e\u{301}e\u{301}", 2), "e\u{301}e\u{301}");
        for columns in 1..8 {
            let shown = plain("a本\u{1b}b本", columns);
            assert!(unicode_width::UnicodeWidthStr::width(shown.as_str()) <= columns, "{columns}: {shown}");
        }
    }
}
