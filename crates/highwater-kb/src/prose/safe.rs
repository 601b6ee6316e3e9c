//! Words of a document where they stand in a page of ours: they stay words. Owns what a page must not take from a document: links,
//! headings, HTML, front matter, tags.

use super::clean::append;

/// Words as one line of plain text: nothing of them opens a link or a tag, and nothing of them is invisible.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    append(&mut line, text.trim());
    line.truncate(line.trim_end().len());
    let mut kept = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match character {
            '<' if next.is_some_and(|next| next.is_alphabetic() || matches!(next, '/' | '!' | '?')) => kept.push('‹'),
            '[' | ']' if next == Some(character) || kept.ends_with(character) => {
                if !kept.ends_with(character) {
                    kept.push(character);
                }
            }
            _ => kept.push(character),
        }
    }
    kept
}

/// Words as Markdown that shows them, wherever in a line it stands, its beginning included.
#[must_use]
pub fn markdown(text: &str) -> String {
    shown(text, true)
}

/// The same, where other words stand before it on the line.
#[must_use]
pub fn markdown_inside(text: &str) -> String {
    shown(text, false)
}

fn shown(text: &str, begins: bool) -> String {
    let line = plain(text);
    let mut shown = String::with_capacity(line.len() + 16);
    for (at, word) in line.split(' ').enumerate() {
        if at > 0 {
            shown.push(' ');
        }
        // An address is not to become a link: as code it is none.
        if word.contains("://") || word.starts_with("www.") || is_address(word) {
            shown.push('`');
            shown.extend(word.chars().filter(|c| *c != '`'));
            shown.push('`');
            continue;
        }
        escape(&mut shown, word, begins && at == 0);
    }
    shown
}

/// `somebody@example.org`.
fn is_address(word: &str) -> bool {
    let outside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    word.split_once('@').is_some_and(|(name, host)| outside(name.chars().next_back()) && outside(host.chars().next()))
}

fn escape(shown: &mut String, word: &str, first: bool) {
    let characters: Vec<char> = word.chars().collect();
    let digits = characters.iter().take_while(|c| c.is_ascii_digit()).count();
    for (at, &character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| characters[before]);
        let next = characters.get(at + 1).copied();
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let marks = match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '$' | '~' => true,
            // Within a word these mean nothing.
            '_' => !(inside(before) && inside(next)),
            '=' | '%' => next == Some(character) || before == Some(character),
            '#' => at == 0,
            '^' => at == 0,
            '&' => inside(next) || next == Some('#'),
            '>' | '+' | '-' => first && at == 0,
            '.' | ')' => first && digits > 0 && at == digits,
            _ => false,
        };
        // A line of `===` or `:::` that begins a block.
        if marks || (first && at == 0 && matches!(character, '=' | ':' | '%')) {
            shown.push('\\');
        }
        shown.push(character);
    }
}

/// At most so many characters, cut after a word, with an ellipsis where something is missing.
#[must_use]
pub fn cut(text: &str, chars_max: usize) -> String {
    let Some((limit, _)) = text.char_indices().nth(chars_max) else { return text.to_owned() };
    let kept = &text[..limit];
    let end = kept.rfind(' ').filter(|end| *end > limit / 2).unwrap_or(limit);
    format!("{}…", kept[..end].trim_end_matches([' ', ',', ';', ':', '-', '–', '(', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_wherever_they_stand() {
        assert_eq!(plain("a [[b]] <script>\u{202e} c\nd"), "a [b] ‹script> c d");
        assert_eq!(markdown("# not a heading"), "\\# not a heading");
        assert_eq!(markdown("12. not an item"), "12\\. not an item");
        assert_eq!(markdown("--- title"), "\\--- title");
        assert_eq!(markdown("snake_case and *stars*"), "snake_case and \\*stars\\*");
        assert_eq!(markdown("see https://example.org/a_b now"), "see `https://example.org/a_b` now");
        assert_eq!(markdown("from ~3 to ~4"), "from \\~3 to \\~4");
        assert_eq!(markdown("[a](b) ![[c]]"), "\\[a\\](b) !\\[c\\]");
    }

    #[test]
    fn what_is_too_long_ends_after_a_word() {
        assert_eq!(cut("one two three", 9), "one two…");
        assert_eq!(cut("one two", 9), "one two");
        assert_eq!(cut("東京都庁舎", 3), "東京都…");
    }
}
