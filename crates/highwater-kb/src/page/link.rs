//! The links of a page: `[[page|alias]]`, `[[page#heading]]`, `![[page]]`, and Markdown's own that lead to a file beside it, such as
//! `![](images/report/1.png)`. Owns where they stand, what they name, and which page that is.
//!
//! What is code is known by a Markdown parser. In three things it is not followed: a wikilink on two lines is none in Obsidian; in
//! a table its bar is written `\|`; and `#heading` is a part of its target. Links in front matter and in HTML are not looked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use percent_encoding::percent_decode_str;
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

use super::{PageName, front};

/// What a page is parsed with.
pub(crate) const MARKDOWN: Options = Options::ENABLE_WIKILINKS
    .union(Options::ENABLE_TABLES)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// A link of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it stands in the page, in bytes.
    pub span: Range<usize>,
    /// What it names: `concepts/tides`, `tides`, `images/report/1.png`; empty for a heading of its own page.
    pub target: String,
    /// Which heading or block of it, without the `#`.
    pub heading: Option<String>,
    /// What it reads as.
    pub alias: Option<String>,
    /// Whether what it names is shown in its place.
    pub embed: bool,
    /// Whether it is written `[[so]]`, and not as Markdown does.
    pub wiki: bool,
}

impl Link {
    /// What a reader sees of it.
    #[must_use]
    pub fn reads(&self) -> &str {
        match (&self.alias, &self.heading) {
            (Some(alias), _) => alias,
            (None, Some(heading)) if self.target.is_empty() => heading,
            (None, _) => self.target.rsplit('/').next().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let embed = if self.embed { "!" } else { "" };
        let heading = self.heading.as_ref().map_or(String::new(), |heading| format!("#{heading}"));
        if self.wiki {
            let alias = self.alias.as_ref().map_or(String::new(), |alias| format!("|{alias}"));
            write!(f, "{embed}[[{}{heading}{alias}]]", self.target)
        } else {
            write!(f, "{embed}[{}](<{}{heading}>)", self.alias.as_deref().unwrap_or_default(), self.target)
        }
    }
}

/// The links of a page, in their order. None is in code.
#[must_use]
pub fn links(page: &str) -> Vec<Link> {
    // Most pages that are large are texts of documents, which have none.
    if !page.contains("[[") && !page.contains("](") && !page.contains("][") {
        return Vec::new();
    }
    let body_at = front::part(page).body_at;
    let body = &page[body_at..];
    let mut links = Vec::new();
    for (event, span) in Parser::new_ext(body, MARKDOWN).into_offset_iter() {
        let (kind, url, embed) = match &event {
            Event::Start(Tag::Link { link_type, dest_url, .. }) => (*link_type, dest_url, false),
            Event::Start(Tag::Image { link_type, dest_url, .. }) => (*link_type, dest_url, true),
            _ => continue,
        };
        let written = &body[span.clone()];
        let span = body_at + span.start..body_at + span.end;
        let link = match kind {
            LinkType::WikiLink { .. } => wikilink(written, span, embed),
            LinkType::Autolink | LinkType::Email => None,
            _ => local(url, written, span, embed),
        };
        links.extend(link);
    }
    links
}

fn wikilink(written: &str, span: Range<usize>, embed: bool) -> Option<Link> {
    let inner = written.strip_prefix('!').unwrap_or(written).strip_prefix("[[")?.strip_suffix("]]")?;
    if inner.contains(['\n', '\r']) {
        return None;
    }
    let (named, alias) = match inner.split_once('|') {
        Some((named, alias)) => (named.strip_suffix('\\').unwrap_or(named), Some(alias.trim().to_owned())),
        None => (inner, None),
    };
    let (target, heading) = headed(named);
    let nothing = target.is_empty() && heading.is_none();
    (!nothing).then(|| Link {
        span,
        target,
        heading,
        alias: alias.filter(|alias| !alias.is_empty()),
        embed,
        wiki: true,
    })
}

/// One of Markdown's own that leads to a file of the base.
fn local(url: &str, written: &str, span: Range<usize>, embed: bool) -> Option<Link> {
    let scheme = url.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    if url.is_empty() || scheme || url.starts_with(['/', '#', '?', '\\']) {
        return None;
    }
    let (target, heading) = headed(&percent_decode_str(url).decode_utf8_lossy());
    let begin = if embed { "![" } else { "[" };
    let alias = written.strip_prefix(begin).and_then(|rest| rest.split(']').next());
    let alias = alias.filter(|alias| !alias.is_empty()).map(ToOwned::to_owned);
    Some(Link { span, target, heading, alias, embed, wiki: false })
}

fn headed(named: &str) -> (String, Option<String>) {
    let (target, heading) = match named.split_once('#') {
        Some((target, heading)) => (target, Some(heading.trim().to_owned())),
        None => (named, None),
    };
    (target.trim().to_owned(), heading.filter(|heading| !heading.is_empty()))
}

/// The page of a base that a link names in full, if it names one so.
#[must_use]
pub fn named(link: &Link) -> Option<PageName> {
    link.target.strip_suffix(".md").unwrap_or(&link.target).parse().ok()
}

/// The pages that there are, as links find them: by their full path, else by their stem where only one page has it. Case does not
/// count.
#[derive(Debug, Clone, Default)]
pub struct Names {
    paths: BTreeMap<String, String>,
    stems: BTreeMap<String, BTreeSet<String>>,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved<'a> {
    /// This page or file, from the wiki's root, a page without its `.md`.
    One(&'a str),
    /// One of several of the same name.
    Several(Vec<&'a str>),
    /// Nothing.
    Nothing,
}

impl Names {
    /// Takes in a file of the wiki, from its root: `concepts/tides.md`.
    pub fn insert(&mut self, path: &str) {
        let name = path.strip_suffix(".md").unwrap_or(path);
        self.paths.insert(name.to_lowercase(), name.to_owned());
        let stem = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        self.stems.entry(stem).or_default().insert(name.to_owned());
    }

    /// What `target` leads to.
    #[must_use]
    pub fn resolve(&self, target: &str) -> Resolved<'_> {
        let folded = target.strip_suffix(".md").unwrap_or(target).trim_start_matches("./").to_lowercase();
        if let Some(name) = self.paths.get(&folded) {
            return Resolved::One(name);
        }
        let Some(found) = self.stems.get(folded.rsplit('/').next().unwrap_or_default()) else {
            return Resolved::Nothing;
        };
        // A part of a path names what ends with it.
        let ends = |name: &&str| {
            !folded.contains('/')
                || name.to_lowercase().ends_with(&folded) && name.len() > folded.len() && {
                    name.as_bytes().get(name.len() - folded.len() - 1) == Some(&b'/')
                }
        };
        let found: Vec<&str> = found.iter().map(String::as_str).filter(ends).collect();
        match found.as_slice() {
            [] => Resolved::Nothing,
            [one] => Resolved::One(one),
            _ => Resolved::Several(found),
        }
    }

    /// The same link in its one form: the full name of its page, and what it read as.
    #[must_use]
    pub fn normalised(&self, link: &Link) -> Option<Link> {
        let Resolved::One(name) = self.resolve(&link.target) else { return None };
        let alias = link.alias.clone().or_else(|| (!link.embed).then(|| link.reads().to_owned()));
        Some(Link { target: name.to_owned(), alias, ..link.clone() })
    }
}

/// The same text with each link made into what `make` says; `None` leaves it.
#[must_use]
pub fn rewritten(text: &str, mut make: impl FnMut(&Link) -> Option<String>) -> String {
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    for link in links(text) {
        // One within another went with it.
        if link.span.start < at {
            continue;
        }
        if let Some(made) = make(&link) {
            new.push_str(&text[at..link.span.start]);
            new.push_str(&made);
            at = link.span.end;
        }
    }
    new.push_str(&text[at..]);
    new
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(page: &str) -> Vec<String> {
        links(page).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_are_found_where_they_stand_and_never_in_code() {
        let page = "---\ntype: concept\n---\n[[a]] `[[code]]` [[b|B]] ![[c#Part]]\n\n```\n[[fenced]]\n```\n\n    [[indented]]\n\n\
                    # [[d/e#x|y]]\n> - [[#own]]\n\n![alt](images/x/1.png) [t](<sources/a b.md#h>) [web](https://x.org) <https://y.org>\n";
        let found = links(page);
        let spans: Vec<&str> = found.iter().map(|link| &page[link.span.clone()]).collect();
        assert_eq!(
            spans,
            [
                "[[a]]",
                "[[b|B]]",
                "![[c#Part]]",
                "[[d/e#x|y]]",
                "[[#own]]",
                "![alt](images/x/1.png)",
                "[t](<sources/a b.md#h>)"
            ]
        );
        assert_eq!(found[5].target, "images/x/1.png");
        assert_eq!((found[6].target.as_str(), found[6].heading.as_deref()), ("sources/a b.md", Some("h")));
    }

    #[test]
    fn where_the_parser_and_obsidian_differ_obsidian_is_right() {
        assert_eq!(seen("| a |\n|---|\n| [[x\\|y]] |\n"), ["[[x|y]]"]);
        assert_eq!(seen("[[a\nb]]"), Vec::<String>::new());
        assert_eq!(seen("[[]] [[|x]] [[ ]]"), Vec::<String>::new());
        assert_eq!(seen("\\[[a]] [[b]]"), ["[[b]]"]);
    }

    #[test]
    fn a_page_is_found_by_its_path_or_by_a_stem_that_only_it_has() {
        let mut names = Names::default();
        ["concepts/tides.md", "entities/Tides.md", "concepts/range.md", "sources/images/x/1.png", "index.md"]
            .iter()
            .for_each(|path| names.insert(path));
        assert_eq!(names.resolve("concepts/tides"), Resolved::One("concepts/tides"));
        assert_eq!(names.resolve("Concepts/Tides.md"), Resolved::One("concepts/tides"));
        assert_eq!(names.resolve("range"), Resolved::One("concepts/range"));
        assert_eq!(names.resolve("tides"), Resolved::Several(vec!["concepts/tides", "entities/Tides"]));
        assert_eq!(names.resolve("x/1.png"), Resolved::One("sources/images/x/1.png"));
        assert_eq!(names.resolve("ncepts/tides"), Resolved::Nothing);
        assert_eq!(names.resolve("entities/range"), Resolved::Nothing);
        let link = &links("[[Range#a]]")[0];
        assert_eq!(names.normalised(link).unwrap().to_string(), "[[concepts/range#a|Range]]");
    }

    proptest! {
        #[test]
        fn a_link_is_read_as_it_was_written(
            target in "[a-z0-9é][a-z0-9é /.-]{0,12}[a-z0-9]",
            heading in proptest::option::of("[a-zA-Z][a-zA-Z ]{0,8}[a-z]"),
            alias in proptest::option::of("[a-zA-Zé(][a-zA-Zé,. ()]{0,12}[a-z)]"),
            embed in any::<bool>(),
            before in "[a-z .\n]{0,20}",
        ) {
            // Four spaces at the beginning of a line make code of what follows.
            prop_assume!(!before.contains("    "));
            let link = Link { span: 0..0, target, heading, alias, embed, wiki: true };
            let page = format!("x{before}y {link} z");
            let found = links(&page);
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&page[found[0].span.clone()], link.to_string());
            prop_assert_eq!(&Link { span: 0..0, ..found[0].clone() }, &link);
        }

        #[test]
        fn any_text_has_links_in_order_within_it(text in "[\\[\\]()!|#`\\\\ a\n<>-]{0,60}") {
            let mut at = 0;
            for link in links(&text) {
                prop_assert!(link.span.start >= at && link.span.end <= text.len());
                at = link.span.start;
            }
            prop_assert_eq!(rewritten(&text, |_| None), text);
        }
    }
}
