//! A converted text, so that it stands by itself in a base: what it shows is beside it, what it links to is somewhere. Owns what
//! becomes of images, of links that lead nowhere, and of marks that only a wiki understands; everything else stays as it is.

use std::fmt::Write as _;
use std::ops::Range;

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::error::Refusal;

/// What a text shows where it names an image.
pub(super) enum Shown {
    /// An image of the gallery, by its name.
    Hung(String),
    /// One that is elsewhere, and stays there.
    Elsewhere,
    /// None: what it would show is said in words.
    Words,
}

/// Who wrote a text's markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author {
    /// A converter, which escapes more than it must.
    Converter,
    /// A person: it stays as it is.
    Person,
    /// Nobody: what looks like a tag is to be read.
    Nobody,
}

/// What a text may consist of.
fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Settles a text; `show` says what is shown for an image's destination.
pub(super) fn settle(
    markdown: &str,
    author: Author,
    show: &mut dyn FnMut(&str) -> Result<Shown, Refusal>,
) -> Result<String, Refusal> {
    let mut edits = Edits { markdown, links: Vec::new(), image: None, code: 0, author, edits: Vec::new() };
    for (event, range) in Parser::new_ext(markdown, options()).into_offset_iter() {
        edits.take(event, range, show)?;
    }
    Ok(edits.made())
}

/// The first heading of the highest level that a text begins with.
pub(super) fn first_heading(markdown: &str) -> Option<String> {
    let mut found: Option<String> = None;
    let mut open: Option<(HeadingLevel, String)> = None;
    for event in Parser::new_ext(markdown, options()) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => open = Some((level, String::new())),
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, title)) = &mut open {
                    title.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some((_, title)) = &mut open {
                    title.push(' ');
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let Some((level, title)) = open.take() else { continue };
                let Some(title) = super::one_line(&title) else { continue };
                if level == HeadingLevel::H1 {
                    return Some(title);
                }
                found.get_or_insert(title);
            }
            _ => {}
        }
    }
    found
}

/// A link whose end was not met yet.
struct Link {
    whole: Range<usize>,
    /// What it reads, so far.
    inner: Option<Range<usize>>,
    /// Whether it leads nowhere.
    dead: bool,
    /// Whether a wiki would take its text for a link of its own.
    doubled: bool,
}

/// An image whose end was not met yet.
struct Picture {
    whole: Range<usize>,
    alt: String,
    shown: Shown,
    title: String,
}

struct Edits<'m> {
    markdown: &'m str,
    links: Vec<Link>,
    image: Option<Picture>,
    code: usize,
    author: Author,
    edits: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    fn take(
        &mut self,
        event: Event<'_>,
        range: Range<usize>,
        show: &mut dyn FnMut(&str) -> Result<Shown, Refusal>,
    ) -> Result<(), Refusal> {
        if let Some(picture) = &mut self.image {
            match event {
                Event::Text(text) | Event::Code(text) => picture.alt.push_str(&text),
                Event::SoftBreak | Event::HardBreak => picture.alt.push(' '),
                Event::End(TagEnd::Image) => self.end_image(),
                _ => {}
            }
            return Ok(());
        }
        if !matches!(event, Event::End(TagEnd::Link)) {
            for link in &mut self.links {
                let inner = link.inner.get_or_insert_with(|| range.clone());
                *inner = inner.start.min(range.start)..inner.end.max(range.end);
            }
        }
        match event {
            Event::Start(Tag::Link { link_type, dest_url, .. }) => self.begin_link(link_type, &dest_url, range),
            Event::End(TagEnd::Link) => self.end_link(),
            Event::Start(Tag::Image { dest_url, title, .. }) => {
                let shown = show(&dest_url)?;
                self.image = Some(Picture { whole: range, alt: String::new(), shown, title: title.to_string() });
            }
            Event::Start(Tag::CodeBlock(_)) => self.code += 1,
            Event::End(TagEnd::CodeBlock) => self.code -= 1,
            Event::Text(_) if self.code == 0 => self.text(range),
            Event::Html(_) | Event::InlineHtml(_) if self.author == Author::Nobody => self.tag(range),
            _ => {}
        }
        Ok(())
    }

    fn begin_link(&mut self, link_type: LinkType, destination: &CowStr<'_>, whole: Range<usize>) {
        let written = matches!(link_type, LinkType::Autolink | LinkType::Email);
        let dead = !written && leads_nowhere(destination);
        let doubled = self.markdown[whole.clone()].contains("[[");
        self.links.push(Link { whole, inner: None, dead, doubled });
    }

    fn end_link(&mut self) {
        let Some(link) = self.links.pop() else { return };
        if link.dead {
            let inner = link.inner.unwrap_or(link.whole.end..link.whole.end);
            self.edits.push((link.whole.start..inner.start, String::new()));
            self.edits.push((inner.end..link.whole.end, String::new()));
        }
    }

    fn end_image(&mut self) {
        let Some(Picture { whole, alt, shown, title }) = self.image.take() else { return };
        let alt = escaped(&super::one_line(&alt).unwrap_or_default());
        match shown {
            Shown::Elsewhere => {}
            Shown::Words => self.edits.push((whole, alt)),
            Shown::Hung(name) => {
                let mut text = format!("![{alt}](images/{name}");
                if let Some(title) = super::one_line(&title) {
                    let title = title.replace(['"', '\\'], "'");
                    write!(text, " \"{title}\"").expect("invariant: a String takes every write");
                }
                text.push(')');
                self.edits.push((whole, text));
            }
        }
    }

    /// Escapes what a wiki would take for a link (`[[`) or for a comment, which is not shown (`%%`).
    fn text(&mut self, range: Range<usize>) {
        let bytes = self.markdown.as_bytes();
        let all = self.links.iter().any(|link| link.doubled);
        for at in range.clone() {
            // What a backslash stands before is escaped already; the range begins behind it.
            if at == range.start && at > 0 && bytes[at - 1] == b'\\' {
                if self.author == Author::Converter && self.is_needless(at) {
                    self.edits.push((at - 1..at, String::new()));
                }
                continue;
            }
            let before = at.checked_sub(1).map(|before| bytes[before]);
            let after = bytes.get(at + 1).copied();
            let escape = match bytes[at] {
                b'[' => all || before == Some(b'[') || after == Some(b'['),
                b']' => all,
                b'%' => before == Some(b'%') && at > range.start,
                _ => false,
            };
            if escape {
                self.edits.push((at..at, "\\".to_owned()));
            }
        }
    }

    /// Whether the character at this place would mean the same without the backslash before it.
    fn is_needless(&self, at: usize) -> bool {
        let line = self.markdown[..at - 1].rfind('\n').map_or(0, |end| end + 1);
        let before = self.markdown[line..at - 1].trim_start();
        let after = self.markdown[at + 1..].chars().next();
        let within_word = before.ends_with(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        // In a heading and in a table no block begins.
        let inline = before.starts_with(['#', '|']);
        match self.markdown.as_bytes()[at] {
            b'.' | b')' => {
                let number = !before.is_empty() && before.bytes().all(|byte| byte.is_ascii_digit());
                // Behind the mark of an item another item may begin.
                let item = before.ends_with(|c: char| c.is_ascii_digit()) && before.starts_with(['-', '*', '+', '>']);
                inline || !(number || item) || after.is_some_and(|c| !c.is_whitespace())
            }
            b'-' | b'+' | b'#' | b'>' | b'=' => inline || before.contains(char::is_alphanumeric),
            b'_' => within_word,
            b'!' => after != Some('['),
            b'{' | b'}' | b'(' | b'"' | b'\'' | b':' | b';' | b',' | b'/' | b'?' | b'@' => true,
            _ => false,
        }
    }

    fn tag(&mut self, range: Range<usize>) {
        for (at, _) in self.markdown[range.clone()].match_indices('<') {
            self.edits.push((range.start + at..range.start + at, "\\".to_owned()));
        }
    }

    fn made(mut self) -> String {
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::with_capacity(self.markdown.len());
        let mut at = 0;
        for (range, with) in self.edits {
            if range.start < at {
                continue;
            }
            text.push_str(&self.markdown[at..range.start]);
            text.push_str(&with);
            at = range.end;
        }
        text.push_str(&self.markdown[at..]);
        text
    }
}

/// Whether a link has no place in the world: it leads to a file beside the document, or into it, or does what a link must not.
fn leads_nowhere(destination: &str) -> bool {
    let Some((scheme, _)) = destination.split_once(':') else { return true };
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    !is_scheme || ["javascript", "vbscript", "data", "file"].iter().any(|other| scheme.eq_ignore_ascii_case(other))
}

/// Words as they stand in a text without being markup: what could be is escaped.
pub(super) fn escaped(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    let mut before = ' ';
    let mut rest = words.chars().peekable();
    while let Some(c) = rest.next() {
        let within = before.is_alphanumeric() && rest.peek().is_some_and(|after| after.is_alphanumeric());
        if "\\`*[]<|".contains(c) || (c == '_' && !within) || (c == '%' && before == '%') || (c == '~' && before == '~')
        {
            text.push('\\');
        }
        text.push(c);
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(markdown: &str, author: Author) -> String {
        settle(markdown, author, &mut |_| Ok(Shown::Words)).unwrap()
    }

    #[test]
    fn what_a_converter_escapes_stays_escaped_only_where_it_must() {
        for (given, settled_to) in [
            ("# 9\\.3\\. A dot\\-vim", "# 9.3. A dot-vim"),
            ("9\\. no item", "9\\. no item"),
            ("9\\.1\\. no item", "9.1. no item"),
            ("- 1\\. no item", "- 1\\. no item"),
            ("\\- no item, x \\- y", "\\- no item, x - y"),
            ("\\# no heading \\#1", "\\# no heading #1"),
            ("snake\\_case \\_\\_init\\_\\_", "snake_case \\_\\_init\\_\\_"),
            ("\\*no\\* \\<tag\\>", "\\*no\\* \\<tag>"),
            ("\\[\\[x\\]\\] \\!\\[y\\](z\\)", "\\[\\[x\\]\\] !\\[y\\](z)"),
            ("`a\\-b`", "`a\\-b`"),
            ("    a\\-b", "    a\\-b"),
        ] {
            assert_eq!(settled(given, Author::Converter), settled_to);
            assert_eq!(settled(given, Author::Person), given);
            let plain = |text: &str| {
                let texts = Parser::new_ext(text, options()).filter_map(|event| match event {
                    Event::Text(text) | Event::Code(text) => Some(text.to_string()),
                    _ => None,
                });
                texts.collect::<String>()
            };
            assert_eq!(plain(given), plain(settled_to), "it reads the same");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_its_text() {
        for (given, settled_to) in [
            ("[a *b*](c.md) [d][e]\n\n[e]: f.html\n", "a *b* d\n\n[e]: f.html\n"),
            ("[](x) [a](#b) [c](C:\\\\d) [e](javascript:f)", " a c e"),
            (
                "[a](https://b) <https://c> <d@e.org> [f](mailto:g@h.org)",
                "[a](https://b) <https://c> <d@e.org> [f](mailto:g@h.org)",
            ),
            ("[a\nb](c)\n", "a\nb\n"),
        ] {
            assert_eq!(settled(given, Author::Person), settled_to);
        }
    }

    #[test]
    fn what_a_wiki_would_take_for_its_own_is_escaped() {
        for (given, settled_to) in [
            ("[[a]] ![[b]] %%c%%", "\\[\\[a]] !\\[\\[b]] %\\%c%\\%"),
            ("`[[a]]` and\n\n```\n[[b]] %%\n```\n", "`[[a]]` and\n\n```\n[[b]] %%\n```\n"),
            ("[[1]](https://a)", "[\\[1\\]](https://a)"),
            ("\\[[a]]", "\\[\\[a]]"),
        ] {
            let once = settled(given, Author::Person);
            assert_eq!(once, settled_to);
            assert_eq!(settled(&once, Author::Person), once, "once is enough");
        }
    }
}
