//! How many tokens a text has, without knowing the model: rather too many than too few. Owns that estimate.

/// A token has about so many thirds of a letter of English; what is counted here is thirds of tokens.
const THIRDS: u64 = 3;

/// About how many tokens a text has.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    thirds(text).div_ceil(THIRDS)
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
