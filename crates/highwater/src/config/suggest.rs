//! "Did you mean": the known word that a person probably meant. Owns how near is near enough.

/// Least that a word and the one that completes it have in common, in characters.
const COMPLETED_CHARS_MIN: usize = 4;
/// Least similarity (Jaro-Winkler, 0 to 1) of a word that is suggested.
const SIMILARITY_MIN: f64 = 0.75;

/// The known word nearest to the one found, if one is near.
pub(crate) fn suggestion<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |word: &str| word.to_lowercase().replace('_', "-");
    let scored = known.map(|word| (strsim::jaro_winkler(&plain(found), &plain(word)), word));
    scored.filter(|(score, _)| *score >= SIMILARITY_MIN).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

/// The one known word that the one found begins, or that begins with it: it means the same, and not a word of another place.
pub(crate) fn completed<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let begins = |word: &&str| word.starts_with(found) || found.starts_with(*word);
    let mut fitting = known.filter(|word| found.len().min(word.len()) >= COMPLETED_CHARS_MIN).filter(begins);
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

/// A choice in words: "`a`", "one of `a`, `b`".
pub(crate) fn one_of<'k>(words: impl Iterator<Item = &'k str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".to_owned(),
        [single] => single.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_suggested_and_a_stranger_is_not() {
        let known = ["worklist", "concurrency", "on-unknown", "env"];
        for (found, meant) in [
            ("worklst", Some("worklist")),
            ("Concurrency", Some("concurrency")),
            ("on_unknown", Some("on-unknown")),
            ("environment", Some("env")),
            ("zzz", None),
        ] {
            assert_eq!(suggestion(found, known.into_iter()), meant, "{found}");
        }
    }
}
