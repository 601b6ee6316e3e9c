//! What the pages of documents, concepts and entities look like. Owns their form; what is on them is given. The same facts are always
//! the same bytes, and nothing of a document can break its page.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

use super::front::Front;
use super::link::{self, MARKDOWN};
use super::plain::{alias, contained, line, one_line};
use super::{PageKind, PageName};
use crate::compile::Compiled;
use crate::document::{DocName, Document};
use crate::tree::{SECTIONS_MAX, Section};

/// How many documents have a section of their own on a page that documents share.
pub const SHARED_DOCUMENTS_MAX: usize = 200;
/// How many related pages a page names.
pub const RELATED_MAX: usize = 8;
/// How deep a section is listed.
const SECTION_DEPTH_MAX: usize = 4;
/// The deepest heading that a summary's own text may have.
const SUMMARY_HEADING: HeadingLevel = HeadingLevel::H2;

/// A link whose page is there, or the words it read as.
pub(crate) enum Linked<'a> {
    /// There is such a page.
    To(&'a PageName),
    /// There is none.
    Words,
}

fn linked(link: &Linked<'_>, title: &str) -> String {
    match link {
        Linked::To(page) => link_to(page, title),
        Linked::Words => line(title),
    }
}

/// A link that reads so.
#[must_use]
pub fn link_to(page: &PageName, title: &str) -> String {
    match alias(title).as_str() {
        "" => format!("[[{page}]]"),
        alias => format!("[[{page}|{alias}]]"),
    }
}

/// A body whose links lead somewhere: those to pages that are not there are the words they read as.
pub(crate) fn demoted(body: &str, stands: impl Fn(&PageName) -> bool) -> String {
    if !body.contains("[[") {
        return body.to_owned();
    }
    link::rewritten(body, |link| {
        let there = link.wiki && link::named(link).is_some_and(|page| stands(&page));
        (link.wiki && !there).then(|| line(link.reads()))
    })
}

/// The page with a document's text.
#[must_use]
pub fn source(name: &DocName, document: &Document, description: &str, text: &str) -> String {
    let front = Front {
        kind: Some(PageKind::Source.type_word().to_owned()),
        description: Some(one_line(description)),
        sources: vec![document.raw.to_string()],
        ..Front::default()
    };
    format!("{}\n{}", front.write(), shown(name, document, text))
}

/// The text with its images where they lie in the wiki, line for line, and without wikilinks: those of a document lead elsewhere.
fn shown(name: &DocName, document: &Document, text: &str) -> String {
    const FROM: &str = "images/";
    if !text.contains(FROM) && !text.contains("[[") {
        return text.to_owned();
    }
    let ours = |url: &str| {
        document
            .images
            .iter()
            .any(|image| url.strip_prefix(FROM).is_some_and(|name| image.as_str().rsplit('/').next() == Some(name)))
    };
    let to = format!("{FROM}{name}/");
    // Where something is put in place of how many bytes.
    let mut edits: Vec<(usize, usize, &str)> = Vec::new();
    let parser = Parser::new_ext(text, MARKDOWN);
    for (_, definition) in parser.reference_definitions().iter() {
        if ours(&definition.dest)
            && let Some(at) = text[definition.span.clone()].rfind(FROM)
        {
            edits.push((definition.span.start + at, FROM.len(), &to));
        }
    }
    for (event, span) in Parser::new_ext(text, MARKDOWN.difference(Options::ENABLE_WIKILINKS)).into_offset_iter() {
        let Event::Start(Tag::Image { dest_url, .. } | Tag::Link { dest_url, .. }) = &event else { continue };
        if ours(dest_url)
            && let Some(at) = text[span.clone()].rfind(dest_url.as_ref())
        {
            edits.push((span.start + at, FROM.len(), &to));
        }
    }
    for link in link::links(text).into_iter().filter(|link| link.wiki) {
        edits.push((link.span.start + usize::from(link.embed), 2, "\\[\\["));
    }
    edits.sort_unstable();
    edits.dedup();
    let (mut new, mut at) = (String::with_capacity(text.len() + edits.len() * to.len()), 0);
    for (begin, length, with) in edits {
        if begin < at {
            continue;
        }
        new.push_str(&text[at..begin]);
        new.push_str(with);
        at = begin + length;
    }
    new.push_str(&text[at..]);
    new
}

/// How many lines of a document's page are before its text.
#[must_use]
pub fn lines_before_text(page: &str) -> u32 {
    let body_at = super::front::part(page).body_at;
    u32::try_from(page[..body_at].matches('\n').count()).map_or(u32::MAX, |lines| lines.saturating_add(1))
}

/// A page that documents share, as the summary of one of them names it.
pub(crate) struct Named<'a> {
    pub(crate) link: Linked<'a>,
    pub(crate) kind: PageKind,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
}

/// The page that says what a document is about. `body` is its summary with links that lead somewhere; `before_text` is how many
/// lines of its text's page are before the text.
pub(crate) fn summary(
    name: &DocName,
    document: &Document,
    compiled: &Compiled,
    body: &str,
    before_text: u32,
    named: &[Named<'_>],
) -> String {
    let full_text = wiki_name(&document.full_text);
    let front = Front {
        kind: Some(PageKind::Summary.type_word().to_owned()),
        description: Some(one_line(&compiled.description)),
        sources: vec![document.raw.to_string()],
        doc_type: Some(one_line(&compiled.doc_type)),
        full_text: Some(document.full_text.as_str().trim_start_matches("wiki/").to_owned()),
    };
    let mut page = headed(&front, &document.title, &compiled.description);
    let body = contained(body, Some(SUMMARY_HEADING));
    if !body.is_empty() {
        let _ = write!(page, "\n{body}\n");
    }
    if !compiled.tree.is_empty() {
        page.push_str("\n## Sections\n\n");
        let mut left = SECTIONS_MAX;
        if sections(&mut page, &compiled.tree, 0, before_text, &mut left).is_break() {
            let _ = writeln!(page, "- the list ends here, after {SECTIONS_MAX} sections");
        }
    }
    for (kind, heading) in [(PageKind::Concept, "Concepts"), (PageKind::Entity, "Entities")] {
        let mut of_kind = named.iter().filter(|named| named.kind == kind).peekable();
        if of_kind.peek().is_some() {
            let _ = write!(page, "\n## {heading}\n\n");
        }
        for named in of_kind {
            let _ = writeln!(page, "- {}{}", linked(&named.link, named.title), after_colon(named.description));
        }
    }
    let _ = write!(page, "\nThe full text: [[{full_text}|{}]]\n", alias(name.as_str()));
    page
}

/// Lists so many sections at most; breaks off where there are more.
fn sections(page: &mut String, tree: &[Section], depth: usize, before_text: u32, left: &mut usize) -> ControlFlow<()> {
    for section in tree {
        let Some(after) = left.checked_sub(1) else { return ControlFlow::Break(()) };
        *left = after;
        let indent = "  ".repeat(depth);
        let (begin, end) =
            (section.begin_line.saturating_add(before_text), section.end_line.saturating_add(before_text));
        let lines = format!("lines {}–{}", begin.saturating_add(1), end.max(begin.saturating_add(1)));
        let pages = match section.pages {
            Some((first, last)) if first == last => format!("page {first}, "),
            Some((first, last)) => format!("pages {first}–{last}, "),
            None => String::new(),
        };
        let _ = writeln!(page, "{indent}- {} ({pages}{lines}){}", line(&section.title), after_colon(&section.summary));
        if depth + 1 < SECTION_DEPTH_MAX {
            sections(page, &section.children, depth + 1, before_text, left)?;
        }
    }
    ControlFlow::Continue(())
}

/// What one document says on a page that it shares.
pub(crate) struct Said {
    pub(crate) document: DocName,
    /// What people call the document.
    pub(crate) title: String,
    /// With links that lead somewhere.
    pub(crate) body: String,
    /// Other documents that say just the same, and what people call them.
    pub(crate) also: Vec<(DocName, String)>,
}

/// The page of a concept or an entity.
pub(crate) struct Shared<'a> {
    pub(crate) name: &'a PageName,
    pub(crate) title: &'a str,
    pub(crate) description: &'a str,
    /// In order of their sequence, at most [`SHARED_DOCUMENTS_MAX`].
    pub(crate) said: &'a [Said],
    /// How many documents more there are.
    pub(crate) more: u64,
    /// Pages that share documents with it, the nearest first.
    pub(crate) related: &'a [(PageName, String)],
}

pub(crate) fn shared(shared: &Shared<'_>) -> String {
    let summary_of = |document: &DocName| PageName::of_document(PageKind::Summary, document);
    let documents = |said: &Said| {
        let also = said.also.iter().map(|(document, _)| document);
        [&said.document].into_iter().chain(also).map(|document| summary_of(document).to_string()).collect::<Vec<_>>()
    };
    let front = Front {
        kind: Some(shared.name.kind().type_word().to_owned()),
        description: Some(one_line(shared.description)),
        sources: shared.said.iter().flat_map(documents).collect(),
        ..Front::default()
    };
    let mut page = headed(&front, shared.title, shared.description);
    for said in shared.said {
        let _ = write!(page, "\n## {}\n", link_to(&summary_of(&said.document), &said.title));
        let also: Vec<String> =
            said.also.iter().map(|(document, title)| link_to(&summary_of(document), title)).collect();
        if !also.is_empty() {
            let _ = write!(page, "\nAlso: {}\n", also.join(", "));
        }
        if !said.body.is_empty() {
            let _ = write!(page, "\n{}\n", said.body);
        }
    }
    if let Some(more) = rounded(shared.more) {
        let _ = write!(page, "\n## More documents\n\n{more} more: `highwater kb search` finds them.\n");
    }
    if !shared.related.is_empty() {
        page.push_str("\n## Related\n\n");
        for (name, title) in shared.related {
            let _ = writeln!(page, "- {}", link_to(name, title));
        }
    }
    page
}

/// How many documents more, so that the page does not change with each of them: 1, 2 and 5 times a power of ten are told.
pub(crate) fn rounded(more: u64) -> Option<String> {
    let mut told = None;
    let mut step: u64 = 1;
    while step <= more {
        told = [5, 2, 1].into_iter().filter_map(|times| step.checked_mul(times)).find(|told| *told <= more);
        let Some(next) = step.checked_mul(10) else { break };
        step = next;
    }
    told.map(|told| if told == 1 { "At least 1 document".to_owned() } else { format!("At least {told} documents") })
}

fn headed(front: &Front, title: &str, description: &str) -> String {
    let mut page = front.write();
    let _ = write!(page, "\n# {}\n", line(title));
    let description = line(description);
    if !description.is_empty() {
        let _ = write!(page, "\n{description}\n");
    }
    page
}

fn after_colon(text: &str) -> String {
    let text = line(text);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// How a link names a file of the wiki.
fn wiki_name(path: &crate::path::FilePath) -> &str {
    let path = path.as_str();
    let path = path.strip_prefix("wiki/").unwrap_or(path);
    path.strip_suffix(".md").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::ContentId;
    use crate::path::FilePath;

    const EVIL: &str = "a | b ]] [[x]] <b>\n---\n# not `a` heading";

    fn document(title: &str) -> Document {
        Document {
            sequence: 1,
            origin: crate::origin::Origin::of_file(std::path::Path::new("/docs/tides.pdf")),
            raw: FilePath::new("raw/tides.pdf").unwrap(),
            content: ContentId::of(b"raw"),
            sha256: String::new(),
            bytes: 3,
            title: title.to_owned(),
            full_text: FilePath::new("wiki/sources/tides.md").unwrap(),
            images: vec![FilePath::new("wiki/sources/images/tides/1.png").unwrap()],
            pages: Some(2),
            converter: "test".to_owned(),
            compiler: "test".to_owned(),
            compiled: ContentId::of(b"compiled"),
        }
    }

    fn compiled(title: &str) -> Compiled {
        let leaf = |title: &str, begin_line, end_line| Section {
            title: title.to_owned(),
            begin_line,
            end_line,
            pages: Some((1, 1)),
            summary: String::new(),
            children: Vec::new(),
        };
        let child = leaf("High *water*", 5, 9);
        let tree = vec![Section {
            pages: Some((1, 2)),
            summary: "All.".to_owned(),
            children: vec![child],
            ..leaf("Tides", 0, 9)
        }];
        Compiled {
            title: title.to_owned(),
            doc_type: "report".to_owned(),
            description: "What tides are.".to_owned(),
            summary: "Tides rise and fall.\n\n## Points\n\n- twice a day".to_owned(),
            tree,
            contributions: Vec::new(),
        }
    }

    fn name() -> DocName {
        DocName::of_stem("tides")
    }

    #[test]
    fn a_summary_says_what_a_document_is_and_where_its_sections_are() {
        let page = PageName::of_title(PageKind::Concept, "High water");
        let named = [
            Named { link: Linked::To(&page), kind: PageKind::Concept, title: "High water", description: "The top." },
            Named { link: Linked::Words, kind: PageKind::Entity, title: "Moon", description: "" },
        ];
        let compiled = compiled("Tides");
        insta::assert_snapshot!(summary(&name(), &document("Tides"), &compiled, &compiled.summary, 7, &named));
    }

    #[test]
    fn a_shared_page_has_a_section_for_each_document() {
        let name = PageName::of_title(PageKind::Concept, "High water");
        let said = ["tides", "harbour"].map(|stem| Said {
            document: DocName::of_stem(stem),
            title: stem.to_uppercase(),
            body: format!("What {stem} says."),
            also: if stem == "tides" { vec![(DocName::of_stem("moon"), "MOON".to_owned())] } else { Vec::new() },
        });
        let related = [(PageName::of_title(PageKind::Entity, "Moon"), "Moon".to_owned())];
        let shared_page = Shared {
            name: &name,
            title: "High water",
            description: "The top.",
            said: &said,
            more: 57,
            related: &related,
        };
        insta::assert_snapshot!(shared(&shared_page));
    }

    #[test]
    fn a_source_keeps_its_lines_and_shows_its_images() {
        let text = "# T\n\n![a](images/1.png) `images/1.png` ![other](images/2.png)\n\n[[elsewhere]]\n\n[r]: images/1.png\n\n![x][r]\n";
        let page = source(&name(), &document("Tides"), "What tides are.", text);
        insta::assert_snapshot!(page);
        let before = lines_before_text(&page) as usize;
        assert_eq!(page.lines().nth(before), Some("# T"));
        assert_eq!(page.lines().count(), before + text.lines().count());
    }

    #[test]
    fn a_title_breaks_no_page() {
        let (document, mut compiled) = (document(EVIL), compiled(EVIL));
        compiled.description = EVIL.to_owned();
        compiled.doc_type = EVIL.to_owned();
        compiled.summary = "```\nnever closed".to_owned();
        compiled.tree[0].title = EVIL.to_owned();
        let page = PageName::of_title(PageKind::Concept, "x");
        let named = [Named { link: Linked::To(&page), kind: PageKind::Concept, title: EVIL, description: EVIL }];
        let text = summary(&name(), &document, &compiled, &compiled.summary, 7, &named);
        let links: Vec<String> = link::links(&text).into_iter().map(|link| link.target).collect();
        assert_eq!(links, ["concepts/x", "sources/tides"]);
        let Front { description, .. } = match super::super::front::Front::read(&text) {
            super::super::front::Found::Front(front) => front,
            other => panic!("{other:?}"),
        };
        assert_eq!(description.unwrap(), one_line(EVIL));
        let headings =
            Parser::new_ext(&text, MARKDOWN).filter(|event| matches!(event, Event::Start(Tag::Heading { .. })));
        assert_eq!(headings.count(), 3);
        let said = [Said { document: name(), title: EVIL.to_owned(), body: String::new(), also: Vec::new() }];
        let related = [(page.clone(), EVIL.to_owned())];
        let shared =
            shared(&Shared { name: &page, title: EVIL, description: EVIL, said: &said, more: 0, related: &related });
        let links: Vec<String> = link::links(&shared).into_iter().map(|link| link.target).collect();
        assert_eq!(links, ["summaries/tides", "concepts/x"]);
    }

    #[test]
    fn a_link_to_nothing_is_the_words_it_read_as() {
        let stands = |page: &PageName| page.stem() == "there";
        let body = "[[concepts/there|A]] [[concepts/gone|*B*]] [[gone]] ![[entities/gone]] `[[x]]`";
        assert_eq!(demoted(body, stands), "[[concepts/there|A]] \\*B\\* gone gone `[[x]]`");
    }

    #[test]
    fn how_many_more_there_are_is_told_in_steps() {
        let told: Vec<Option<String>> =
            [0, 1, 4, 5, 19, 20, 99, 100, 4999, 5000, u64::MAX].into_iter().map(rounded).collect();
        let numbers: Vec<String> = told
            .iter()
            .map(|told| told.as_deref().unwrap_or("-").chars().filter(|c| c.is_ascii_digit() || *c == '-').collect())
            .collect();
        assert_eq!(numbers, ["-", "1", "2", "5", "10", "20", "50", "100", "2000", "5000", "10000000000000000000"]);
    }

    #[test]
    fn every_section_of_a_tree_is_listed_and_more_than_a_tree_has_are_told() {
        for (sections, is_whole) in [(SECTIONS_MAX, true), (SECTIONS_MAX + 1, false)] {
            let mut compiled = compiled("Tides");
            let one = compiled.tree[0].children[0].clone();
            let below = vec![one; sections - 1];
            compiled.tree[0].children = below;
            let page = summary(&name(), &document("Tides"), &compiled, "", 0, &[]);
            assert_eq!(page.matches("(page 1, lines").count() + 1, SECTIONS_MAX, "{sections}");
            assert_eq!(!page.contains("the list ends here"), is_whole, "{sections}");
        }
    }
}
