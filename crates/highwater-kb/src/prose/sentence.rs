//! Where the sentences of a block begin and end: the rules of Unicode, and then abbreviations and initials, which end none.
//!
//! # Source
//! Unicode Standard Annex 29, sentence boundaries.

use unicode_segmentation::UnicodeSegmentation as _;

/// Words with a full stop that ends no sentence, in lower case, of the languages that we tell apart by letters.
const ABBREVIATIONS: &[&str] = &[
    "abb", "abs", "al", "approx", "art", "bd", "bzw", "ca", "cf", "co", "col", "corp", "dept", "dr", "e.g", "ed",
    "eds", "eq", "eqs", "est", "etc", "evtl", "ex", "fig", "figs", "fr", "gen", "ggf", "hr", "hrsg", "i.e", "inc",
    "incl", "inkl", "jr", "kap", "lt", "ltd", "max", "min", "mio", "mme", "mr", "mrs", "ms", "mt", "nr", "no", "nos",
    "op", "p.ex", "pp", "prof", "ref", "refs", "resp", "rev", "s.o", "s.u", "sec", "sect", "sog", "sr", "st", "str",
    "tab", "u.a", "usw", "u.s", "vgl", "viz", "vol", "vs", "z.b", "zb", "zzgl",
];

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
        *begin += piece.len() - piece.trim_start().len();
        *end = *begin + piece.trim().len();
        begin < end
    });
    found
}

/// Whether what stands before goes on after what seemed to be an end.
fn goes_on(before: &str, after: &str) -> bool {
    // A short look back: the word before the full stop.
    let before = before.trim_end();
    if after.starts_with(|c: char| c.is_lowercase()) {
        return !before.ends_with(['。', '！', '？']);
    }
    let Some(stem) = before.strip_suffix('.') else { return false };
    let word = stem.rsplit([' ', '(', '"', '“', '„']).next().unwrap_or(stem);
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => {
            letter.is_uppercase() || (letter.is_alphabetic() && after.starts_with(char::is_alphabetic))
        }
        _ => word.len() <= 8 && ABBREVIATIONS.contains(&word.to_lowercase().as_str()),
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
        assert_eq!(told(" \n "), [""; 0]);
    }
}
