//! The letters of a text: what cannot be seen goes, what is endless becomes short. Owns what of a document is never taken over.

use super::blocks::BLOCK_BYTES_MAX;

/// How often one mark may follow itself: what is more is a ruler.
const SAME_MARKS_MAX: u32 = 6;
/// How many marks in a row are kept.
const MARKS_MAX: u32 = 12;
/// How many combining marks a letter may bear.
const COMBINING_MAX: u32 = 3;

/// Where a text is cut that is longer than `limit`: after a line where there is one.
pub(crate) fn boundary(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    let end = text.floor_char_boundary(limit);
    match text[..end].rfind('\n') {
        Some(line) if line > end / 2 => line + 1,
        _ => end,
    }
}

/// A text in parts that a block can hold, cut at spaces where there are some.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.floor_char_boundary(BLOCK_BYTES_MAX.min(rest.len()));
        if end < rest.len()
            && let Some(space) = rest[..end].rfind(' ')
            && space > end / 2
        {
            end = space + 1;
        }
        let (piece, left) = rest.split_at(end);
        rest = left;
        Some(piece)
    })
}

/// Appends words: spaces become one, what cannot be seen goes, rulers become short.
pub(crate) fn append(to: &mut String, text: &str) {
    // What stands there already counts: a text may come letter by letter.
    let (mut last, mut same, mut marks, mut combining) = ending(to);
    for character in text.chars() {
        if character.is_whitespace() {
            if last != ' ' {
                to.push(' ');
            }
            (last, same, marks) = (' ', 0, 0);
            continue;
        }
        if is_unseen(character) {
            continue;
        }
        if unicode_normalization::char::is_combining_mark(character) {
            combining += 1;
            if combining > COMBINING_MAX {
                continue;
            }
        } else {
            combining = 0;
            if character.is_alphanumeric() {
                (same, marks) = (0, 0);
            } else {
                same = if character == last { same + 1 } else { 0 };
                marks += 1;
                if same >= SAME_MARKS_MAX || marks > MARKS_MAX {
                    continue;
                }
            }
        }
        to.push(character);
        last = character;
    }
}

/// The last letter of a text, and how many of its last letters are the same, are marks, are combining ones.
fn ending(text: &str) -> (char, u32, u32, u32) {
    let last = text.chars().next_back().unwrap_or(' ');
    let most = MARKS_MAX as usize + 1;
    let count = |holds: &dyn Fn(char) -> bool| {
        u32::try_from(text.chars().rev().take(most).take_while(|c| holds(*c)).count()).unwrap_or(0)
    };
    let same = count(&|c| c == last && !c.is_alphanumeric() && !c.is_whitespace()).saturating_sub(1);
    let marks = count(&|c| !c.is_alphanumeric() && !c.is_whitespace());
    (last, same, marks, count(&unicode_normalization::char::is_combining_mark))
}

/// What has no shape of its own, or changes the direction of what follows.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}
