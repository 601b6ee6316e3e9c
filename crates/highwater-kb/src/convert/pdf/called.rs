//! What a title is called, whatever its number, its case and its marks. Owns when two titles are the same, and when a text begins with one.

/// A title by its letters and digits alone: with its number, and without, since that may stand on the page alone, or in the outline alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) whole: String,
    pub(super) bare: String,
}

impl Called {
    pub(super) fn new(title: &str) -> Self {
        let mut words = title.split_whitespace().peekable();
        words.next_if(|word| is_part(word));
        words.next_if(|word| is_number(word));
        let (whole, bare) = (letters(title), letters(&words.collect::<String>()));
        Self { bare: if bare.is_empty() { whole.clone() } else { bare }, whole }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.whole == other.whole || self.bare == other.whole || self.whole == other.bare || self.bare == other.bare
    }

    /// Where a text goes on, in bytes, that begins with this title, with its number or without.
    pub(super) fn begins(&self, text: &str) -> Option<usize> {
        begins_by(&self.bare, text, after_number(text)).or_else(|| begins_by(&self.whole, text, 0))
    }

    /// The same of a title that has a number with a digit before it, as no sentence that only begins with its words has.
    pub(super) fn begins_numbered(&self, text: &str) -> Option<usize> {
        number_of(text).and_then(|number| begins_by(&self.bare, text, number.len()))
    }
}

/// Where a text goes on after a name that begins there.
fn begins_by(name: &str, text: &str, from: usize) -> Option<usize> {
    let (mut left, mut end) = (name, from);
    for word in text[from..].split_inclusive(char::is_whitespace) {
        let said = letters(word);
        if left.is_empty() && !said.is_empty() {
            break;
        }
        left = left.strip_prefix(said.as_str())?;
        end += word.len();
    }
    left.is_empty().then_some(end)
}

/// The number that a text begins with, and the space after it; `I` and `A` begin sentences, too.
pub(super) fn number_of(text: &str) -> Option<&str> {
    Some(&text[..after_number(text)]).filter(|number| number.contains(|c: char| c.is_ascii_digit()))
}

/// Where a text goes on after `3.1` or `Chapter 3:`, if it begins so.
fn after_number(text: &str) -> usize {
    let blank = text.len() - text.trim_start().len();
    let mut words = text[blank..].split_inclusive(char::is_whitespace).peekable();
    let part = words.next_if(|word| is_part(word.trim_end())).map_or(0, str::len);
    blank + part + words.next_if(|word| is_number(word.trim_end())).map_or(0, str::len)
}

fn is_part(word: &str) -> bool {
    matches!(word.to_lowercase().as_str(), "chapter" | "appendix")
}

/// `3`, `3.1.`, `A`, `A.1:`
fn is_number(word: &str) -> bool {
    let mut parts = word.trim_end_matches(['.', ':', ')']).split('.');
    let is_count = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = |part: &str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_uppercase());
    parts.next().is_some_and(|first| is_count(first) || is_letter(first)) && parts.all(is_count)
}

fn letters(title: &str) -> String {
    title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_no_part_of_a_title() {
        let same = [
            ("6. Scripts", "Chapter 6: Scripts"),
            ("A Tools", "Appendix A Tools"),
            ("Libraries", "A.1 Libraries"),
            ("3.1 Gauges", "Gauges"),
        ];
        for (one, other) in same {
            assert!(Called::new(one).is(&Called::new(other)), "{one} {other}");
        }
        for (one, other) in [("1999", "2001"), ("A.1 Libraries", "A.1 Tools"), ("CSV Files", "Files")] {
            assert!(!Called::new(one).is(&Called::new(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_text_goes_on_after_the_title_that_it_begins_with() {
        let rest = |title: &str, text: &'static str| Called::new(title).begins(text).map(|end| &text[end..]);
        assert_eq!(rest("Visibility", "1.16 Visibility 1.16.1 Hiding"), Some("1.16.1 Hiding"));
        assert_eq!(rest("3 Fields", "Chapter 3: Fields . So"), Some("So"));
        assert_eq!(rest("1.16 Visibility", "Visibility"), Some(""));
        for text in ["1.16 Visible", "Visibilities", "On visibility", "", "1.16"] {
            assert_eq!(rest("Visibility", text), None, "{text}");
        }
        assert_eq!(Called::new("Visibility").begins_numbered("Visibility of names is"), None);
        assert_eq!(Called::new("Visibility").begins_numbered("1.16 Visibility of names is"), Some(16));
    }
}
