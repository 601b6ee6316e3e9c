//! Identifiers as people and users' own systems see them: what comes after the repository's prefix. Owns the split, and the
//! number that an identifier ends with.

/// What every identifier of a repository begins with; empty where it is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespace(String);

/// The longest identifier that is taken, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 512;

/// How much of what is no identifier is shown, in characters.
const SHOWN_CHARS: usize = 60;

impl Namespace {
    /// The namespace of a prefix.
    #[must_use]
    pub fn new(prefix: Option<&str>) -> Self {
        Self(prefix.unwrap_or_default().to_owned())
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// What comes after the prefix; `None` for an identifier of another shape: another prefix, nothing after it, white space or
    /// control characters in it, or too long.
    #[must_use]
    pub fn local<'i>(&self, identifier: &'i str) -> Option<&'i str> {
        let local = identifier.strip_prefix(self.0.as_str())?;
        let fits = !local.is_empty()
            && identifier.len() <= IDENTIFIER_BYTES_MAX
            && !local.chars().any(|c| c.is_whitespace() || c.is_control());
        fits.then_some(local)
    }

    /// The same for what a person or another system wrote, with or without the prefix.
    #[must_use]
    pub fn local_or_bare<'i>(&self, identifier: &'i str) -> Option<&'i str> {
        let bare = identifier.strip_prefix(self.0.as_str()).unwrap_or(identifier);
        Self::default().local(bare)
    }

    /// The whole identifier.
    #[must_use]
    pub fn whole(&self, local: &str) -> String {
        format!("{}{local}", self.0)
    }
}

/// As much of a text as a person is shown of what should be an identifier.
pub(crate) fn beginning(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The number that an identifier ends with, zero where it ends with none. One that does not fit counts as the greatest.
#[must_use]
pub fn number(identifier: &str) -> u64 {
    let digits = identifier.len() - identifier.bytes().rev().take_while(u8::is_ascii_digit).count();
    match &identifier[digits..] {
        "" => 0,
        digits => digits.parse().unwrap_or(i64::MAX.unsigned_abs()).min(i64::MAX.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_split_at_the_prefix_and_other_shapes_are_told_apart() {
        let namespace = Namespace::new(Some("oai:directory.doabooks.org:"));
        assert_eq!(namespace.local("oai:directory.doabooks.org:20.500.12854/62752"), Some("20.500.12854/62752"));
        for other in ["oai:elsewhere.org:1", "oai:directory.doabooks.org:", "oai:directory.doabooks.org:1 2", "", "x"] {
            assert_eq!(namespace.local(other), None, "{other}");
        }
        assert_eq!(namespace.local_or_bare("20.500.12854/62752"), Some("20.500.12854/62752"));
        assert_eq!(namespace.whole("1"), "oai:directory.doabooks.org:1");
    }

    #[test]
    fn the_number_is_a_number_and_not_text() {
        assert!(number("20.500.12854/100000") > number("20.500.12854/62752"));
        assert_eq!((number("a"), number("a/007"), number("a/99999999999999999999")), (0, 7, i64::MAX.unsigned_abs()));
    }
}
