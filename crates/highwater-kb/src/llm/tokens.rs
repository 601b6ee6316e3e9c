//! How many tokens a text has, without knowing the model: rather too many than too few. Owns that estimate, and what is taken for a count.

use serde_json::Value;

/// A token has about so many thirds of a letter of English; what is counted here is thirds of tokens.
const THIRDS: u64 = 3;
/// A count with a point that is larger is none, in tokens.
const COUNT_MAX: f64 = 1e15;

/// About how many tokens a text has.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    thirds(text).div_ceil(THIRDS)
}

/// How many tokens an endpoint says that there were, as far as it can be read: some write it with a point, or as a text.
#[must_use]
pub fn count(said: &Value) -> Option<u64> {
    let said = match said {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    said.parse().ok().or_else(|| {
        let about: f64 = said.parse().ok()?;
        let is_count = (0.0..COUNT_MAX).contains(&about);
        // Rather too many than too few.
        is_count.then(|| format!("{:.0}", about.ceil().abs()).parse().ok())?
    })
}

/// As much of the beginning of a text as has at most so many tokens.
#[must_use]
pub fn cut(text: &str, tokens_max: u64) -> &str {
    let (mut left, mut end) = (tokens_max.saturating_mul(THIRDS), 0);
    for (at, character) in text.char_indices() {
        let weight = weight(character);
        if weight > left {
            return &text[..end];
        }
        left -= weight;
        end = at + character.len_utf8();
    }
    text
}

fn thirds(text: &str) -> u64 {
    text.chars().map(weight).sum()
}

/// Models have words for English; of other alphabets they read two or three letters at a time, of other scripts each.
fn weight(character: char) -> u64 {
    match character {
        '\0'..='\u{7f}' => 1,
        '\u{80}'..='\u{7ff}' => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_however_it_is_written_and_what_is_none_is_not() {
        for (said, read) in [
            ("100", Some(100)),
            ("100.0", Some(100)),
            ("49.2", Some(50)),
            ("\" 7 \"", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("-0.0", Some(0)),
            ("-5", None),
            ("1e300", None),
            ("\"many\"", None),
            ("\"NaN\"", None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(count(&serde_json::from_str(said).unwrap()), read, "{said}");
        }
    }

    #[test]
    fn a_text_is_cut_where_its_tokens_end() {
        for text in ["", "tides", "Gezeiten über dem Watt", "潮汐は月に従う", "a潮b汐"] {
            for tokens_max in 0..=estimate(text) + 1 {
                let kept = cut(text, tokens_max);
                assert!(text.starts_with(kept) && estimate(kept) <= tokens_max, "{text} {tokens_max}: {kept}");
            }
            assert_eq!(cut(text, estimate(text)), text);
        }
        assert_eq!(estimate("abcdef"), 2);
    }
}
