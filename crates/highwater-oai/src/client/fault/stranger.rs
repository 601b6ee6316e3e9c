//! What came where OAI-PMH was expected. Owns how it is named in a sentence: by its title or its first words, never by a page of
//! markup.

use std::fmt;

/// How much of it is kept, in bytes.
pub const EXCERPT_BYTES_MAX: usize = 2048;
/// How much of it a sentence shows, in characters.
const SHOWN_CHARS: usize = 80;

/// A body that is no OAI-PMH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    named: String,
    excerpt: String,
}

impl Stranger {
    /// The body that begins like this.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let excerpt = plain(&text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)]);
        Self { named: name(&excerpt), excerpt }
    }

    /// Something else than a body, in a few words.
    #[must_use]
    pub fn other(what: &str) -> Self {
        let what = plain(what);
        Self { named: shortened(&what, SHOWN_CHARS), excerpt: what }
    }

    /// A sentence that names it, and below it as much as was kept, where that is more.
    pub(super) fn evidence(&self, sentence: &str) -> String {
        if sentence.contains(&self.excerpt) { sentence.to_owned() } else { format!("{sentence}\n{}", self.excerpt) }
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named)
    }
}

fn name(excerpt: &str) -> String {
    if excerpt.is_empty() {
        return "nothing".to_owned();
    }
    let lower = excerpt.to_ascii_lowercase();
    if !(lower.starts_with("<!doctype html") || lower.contains("<html")) {
        return format!("`{}`", shortened(excerpt, SHOWN_CHARS));
    }
    match title(excerpt, &lower).or_else(|| words(excerpt)) {
        Some(says) => format!("HTML (\"{}\")", shortened(&says, SHOWN_CHARS)),
        None => "HTML".to_owned(),
    }
}

/// The title of a page; `lower` is the page in small letters, byte for byte.
fn title(page: &str, lower: &str) -> Option<String> {
    let begin = lower.find("<title")?;
    let begin = begin + lower[begin..].find('>')? + 1;
    let end = begin + lower[begin..].find('<')?;
    Some(page[begin..end].trim().to_owned()).filter(|title| !title.is_empty())
}

/// The text between the tags.
fn words(page: &str) -> Option<String> {
    let mut words = String::new();
    let mut within = false;
    for c in page.chars() {
        match c {
            '<' => within = true,
            '>' => {
                within = false;
                words.push(' ');
            }
            c if !within => words.push(c),
            _ => {}
        }
    }
    Some(words.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|words| !words.is_empty())
}

/// On one line, without control characters.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() || c == '\u{FEFF}' { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Its first characters.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_title_or_its_first_words() {
        let named = |text: &str| Stranger::new(text).to_string();
        assert_eq!(named(""), "nothing");
        assert_eq!(
            named("\u{FEFF}\n<!DOCTYPE HTML>\r\n<HTML><head><Title lang=en>\n Sign\tin </title>"),
            "HTML (\"Sign in\")"
        );
        assert_eq!(
            named("<html><head><title></title></head><body><h1>502</h1> Bad\n\u{1B}Gateway"),
            "HTML (\"502 Bad Gateway\")"
        );
        assert_eq!(named("<html><body class=\"x"), "HTML");
        assert_eq!(named("<html><title>İ</title>"), "HTML (\"İ\")");
        assert_eq!(named("<?xml version=\"1.0\"?><rss>"), "`<?xml version=\"1.0\"?><rss>`");
    }

    #[test]
    fn what_is_shown_is_short_and_what_is_kept_is_bounded() {
        let long = Stranger::new(&format!("<html><title>{}", "é ".repeat(5000)));
        assert!(long.to_string().chars().count() < SHOWN_CHARS + 12, "{long}");
        assert!(long.excerpt.len() <= EXCERPT_BYTES_MAX);
        assert_eq!(long.evidence("no"), format!("no\n{}", long.excerpt));
        let short = Stranger::new("Not Found");
        assert_eq!(short.evidence(&format!("404: {short}")), "404: `Not Found`");
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abc d", 4), "abc…");
    }
}
