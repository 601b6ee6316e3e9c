//! Where the sentences of a block begin and end: the rules of Unicode, and then abbreviations and initials, which end none.
//!
//! # Source
//! Unicode Standard Annex 29, sentence boundaries.

use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation as _;

use super::language::{Lexicon, lexicon};

/// Words with a full stop that ends no sentence, in lower case, of the languages that we tell apart by letters.
static ABBREVIATIONS: Lexicon = LazyLock::new(|| lexicon(include_str!("words/abbreviations.txt")));

/// The sentences of a block, as ranges of bytes.
pub(super) fn sentences(text: &str) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (begin, piece) in text.split_sentence_bound_indices() {
        let end = begin + piece.len();
        match found.last_mut() {
            Some(last) if goes_on(&text[last.0..last.1], piece) => last.1 = end,
            _ => found.push((begin, end)),
        }
    }
    found.retain_mut(|(begin, end)| {
        let piece = &text[*begin..*end];
        let kept = numberless(piece.trim_start());
        (*begin, *end) = (*end - kept.len(), *end - (kept.len() - kept.trim_end().len()));
        begin < end
    });
    found
}

/// A text without the number of its paragraph: `5.1 The …`, `(a) The …`.
pub(crate) fn numberless(text: &str) -> &str {
    let Some((number, rest)) = text.split_once(' ') else { return text };
    let bare = number.trim_end_matches(['.', ')']).trim_start_matches('(');
    let marked = number.len() > bare.len() || bare.contains('.');
    let numeric = !bare.is_empty() && bare.len() <= 8 && bare.chars().all(|c| c.is_ascii_digit() || c == '.');
    let lettered = number.ends_with(')') && bare.len() == 1 && bare.chars().all(|c| c.is_ascii_lowercase());
    let rest = rest.trim_start();
    if (marked && numeric || lettered) && rest.starts_with(|c: char| c.is_uppercase() || "\"“„".contains(c)) {
        rest
    } else {
        text
    }
}

/// Whether what stands before goes on after what seemed to be an end.
fn goes_on(before: &str, after: &str) -> bool {
    // A short look back: the word before the full stop.
    let before = before.trim_end();
    if after.starts_with(|c: char| c.is_lowercase()) {
        return !before.ends_with(['。', '！', '？']);
    }
    let Some(stem) = before.strip_suffix('.') else { return false };
    let is_edge = |c: char| c == ' ' || "(\"“„".contains(c);
    let begin = stem.rfind(is_edge).map_or(0, |at| at + stem[at..].chars().next().map_or(0, char::len_utf8));
    let (head, word) = (stem[..begin].trim_end_matches(is_edge), &stem[begin..]);
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        // `J. Marsh`, and not `beside berth C. Fuel`.
        (Some(letter), None) if letter.is_uppercase() => {
            let last = head.rsplit(' ').next().unwrap_or(head);
            last.chars().next().is_none_or(|c| !c.is_lowercase() && !c.is_numeric())
                || matches!(last, "by" | "and" | "with" | "from" | "to" | "for" | "von" | "und")
        }
        // `z. B.`
        (Some(letter), None) => letter.is_alphabetic() && after.chars().nth(1) == Some('.'),
        _ => word.len() <= 8 && ABBREVIATIONS.contains(word.to_lowercase().as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|(begin, end)| &text[begin..end]).collect()
    }

    #[test]
    fn an_abbreviation_ends_no_sentence() {
        let text = "Dr. A. Keller measured, e.g. at 4.2 m (cf. Fig. 3). The tide fell. Is it low? Yes!";
        assert_eq!(
            told(text),
            ["Dr. A. Keller measured, e.g. at 4.2 m (cf. Fig. 3).", "The tide fell.", "Is it low?", "Yes!"]
        );
        assert_eq!(told("Das gilt z. B. für Boote. Es ist so."), ["Das gilt z. B. für Boote.", "Es ist so."]);
        assert_eq!(told("潮が満ちる。船が出る。"), ["潮が満ちる。", "船が出る。"]);
        assert_eq!(
            told("It lies beside berth C. Fuel costs 3 m. Next."),
            ["It lies beside berth C.", "Fuel costs 3 m.", "Next."]
        );
        assert_eq!(told("5.1 The hire is due. It is paid."), ["The hire is due.", "It is paid."]);
        assert_eq!(told("(a) Fuel is paid."), ["Fuel is paid."]);
        assert_eq!(told(" \n "), [""; 0]);
    }
}
