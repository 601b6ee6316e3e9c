//! JSON as programs write it that know no better: half of a character, a line's end in the middle of a text, no number where one
//! belongs. Owns what is made of that, so that what is paid for can be read; what is whole it leaves as it is.

/// The digits of an escaped character.
const HEX_DIGITS: usize = 4;
/// What stands in for what is no character.
const NO_CHARACTER: char = '\u{fffd}';

/// The same JSON with what no reader takes put otherwise: half of a character is shown as none, a control character and a backslash in a
/// text are escaped, and what is neither a text nor a number is `null`.
pub(super) fn mended(json: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string(rest, &mut out),
            _ if is_bare(first) => bare(rest, &mut out),
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    out
}

fn is_bare(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '+' | '-' | '.' | '_')
}

/// Takes what stands alone at the beginning, and says how long it was.
fn bare(json: &str, out: &mut String) -> usize {
    let len = json.find(|character| !is_bare(character)).unwrap_or(json.len());
    let word = &json[..len];
    let is_json = serde_json::from_str::<serde_json::Value>(word).is_ok();
    out.push_str(if is_json { word } else { "null" });
    len
}

/// Takes the text at the beginning, which may have no end, and says how long it was.
fn string(json: &str, out: &mut String) -> usize {
    out.push('"');
    let mut at = 1;
    while let Some(character) = json[at..].chars().next() {
        match character {
            '"' => {
                out.push('"');
                return at + 1;
            }
            '\\' => at += escaped(&json[at..], out),
            control if control.is_ascii_control() && control != '\u{7f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(control)));
                at += 1;
            }
            character => {
                out.push(character);
                at += character.len_utf8();
            }
        }
    }
    at
}

/// Takes what is escaped at the beginning, and says how long it was.
fn escaped(json: &str, out: &mut String) -> usize {
    let taken = match (unit(json), json.as_bytes().get(1)) {
        (Some(0xd800..=0xdbff), _) => {
            let len = 2 + HEX_DIGITS;
            let is_whole = unit(&json[len..]).is_some_and(|low| (0xdc00..=0xdfff).contains(&low));
            if is_whole { Some(2 * len) } else { None }
        }
        (Some(0xdc00..=0xdfff), _) => None,
        (Some(_), _) => Some(2 + HEX_DIGITS),
        (None, Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => Some(2),
        (None, _) => {
            out.push_str("\\\\");
            return 1;
        }
    };
    match taken {
        Some(len) => {
            out.push_str(&json[..len]);
            len
        }
        None => {
            out.push(NO_CHARACTER);
            2 + HEX_DIGITS
        }
    }
}

/// The UTF-16 unit that is escaped at the beginning.
fn unit(json: &str) -> Option<u16> {
    let digits = json.strip_prefix("\\u")?.get(..HEX_DIGITS)?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_no_reader_takes_is_put_otherwise() {
        for (odd, meant) in [
            (r#""a \ud83d""#, json!("a \u{fffd}")),
            (r#""\ude00\ud83d\ud83d\ude00""#, json!("\u{fffd}\u{fffd}\u{1f600}")),
            (r#""\ud83d\n\ud83d\\u0041""#, json!("\u{fffd}\n\u{fffd}\\u0041")),
            (r#""\alpha \u12 \""#, json!("\\alpha \\u12 \"")),
            ("\"a\nb\u{1}\"", json!("a\nb\u{1}")),
            ("[NaN, -Infinity, 1e999, 1.5, true, nil]", json!([null, null, null, 1.5, true, null])),
        ] {
            let odd = if odd.ends_with("\\\"") { format!("{odd}\"") } else { odd.to_owned() };
            assert!(serde_json::from_str::<Value>(&odd).is_err(), "{odd}");
            assert_eq!(serde_json::from_str::<Value>(&mended(&odd)).unwrap(), meant, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn what_is_whole_is_left_as_it_is(text in ".*", number in any::<f64>(), truth in any::<bool>()) {
            let whole = json!({ &text: [text, number, truth, null] }).to_string();
            prop_assert_eq!(mended(&whole), whole);
        }

        #[test]
        fn whatever_it_is_it_comes_to_an_end(json in any::<String>()) {
            let once = mended(&json);
            prop_assert_eq!(mended(&once), once);
        }
    }
}
