//! The text of an older page, as a part of a page of ours. Owns what must be another there: headings that are too high, HTML, links
//! that are not written in full, lists of links that our page has anyway. Nothing that a person reads is lost.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use crate::page::link::{self, MARKDOWN, Names, Resolved};
use crate::page::{PageName, front};

/// The lists of links that the older program keeps on its pages.
const LISTS: [&str; 3] = ["## Related Concepts", "## Related Documents", "## Entities"];
/// How it names one more document.
const SEE_ALSO: &str = "See also: ";
/// How the deepest heading is written.
const DEEPEST: &str = "######";

/// The title that a page begins with, and the rest of it.
pub(super) fn titled(body: &str) -> (Option<String>, &str) {
    let rest = body.trim_start_matches(['\n', '\r']);
    let Some(heading) = rest.strip_prefix("# ") else { return (None, body) };
    let (title, rest) = heading.split_once('\n').unwrap_or((heading, ""));
    let title = words(title);
    (Some(title).filter(|title| !title.is_empty()), rest)
}

/// Markdown as the words that it reads as, in one line.
fn words(markdown: &str) -> String {
    let mut words = String::new();
    for event in Parser::new_ext(markdown, MARKDOWN) {
        match event {
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            Event::SoftBreak | Event::HardBreak => words.push(' '),
            _ => {}
        }
    }
    crate::page::plain::one_line(words.trim_end_matches('#'))
}

/// A body without the links that `is_listed` says our page lists by itself: whole sections of nothing else, and single lines.
pub(super) fn without_lists(body: &str, is_listed: impl Fn(&str) -> bool) -> String {
    let lines: Vec<&str> = body.lines().collect();
    let fenced = fenced(&lines);
    let heads = |n: usize| !fenced[n] && (lines[n].starts_with("# ") || lines[n].starts_with("## "));
    let listed = |line: &str, before: &str| {
        let target = line.trim().strip_prefix(before).and_then(|link| link.strip_prefix("[[")?.strip_suffix("]]"));
        target.is_some_and(|target| is_listed(target.split('|').next().unwrap_or_default().trim_end_matches('\\')))
    };
    let mut kept = Vec::with_capacity(lines.len());
    let mut n = 0;
    while n < lines.len() {
        if heads(n) && LISTS.contains(&lines[n].trim_end()) {
            let end = (n + 1..lines.len()).find(|n| heads(*n)).unwrap_or(lines.len());
            let is_kept = |n: &usize| fenced[*n] || !(listed(lines[*n], "- ") || listed(lines[*n], SEE_ALSO));
            let rest: Vec<&str> = (n + 1..end).filter(is_kept).map(|n| lines[n]).collect();
            if rest.iter().any(|line| !line.trim().is_empty()) {
                kept.push(lines[n]);
                kept.extend(rest);
            }
            n = end;
            continue;
        }
        if fenced[n] || !listed(lines[n], SEE_ALSO) {
            kept.push(lines[n]);
        }
        n += 1;
    }
    kept.join("\n")
}

/// Which lines are in a fenced block.
fn fenced(lines: &[&str]) -> Vec<bool> {
    let mut open: Option<&str> = None;
    let each = lines.iter().map(|line| {
        let mark = line.trim_start().get(..3).filter(|mark| matches!(*mark, "```" | "~~~"));
        match (open, mark) {
            (None, Some(mark)) => {
                open = Some(mark);
                true
            }
            (Some(with), Some(mark)) if with == mark => {
                open = None;
                true
            }
            (open, _) => open.is_some(),
        }
    });
    each.collect()
}

/// A body whose highest heading is at most this high, and which has no HTML.
pub(super) fn fitted(body: &str, highest: HeadingLevel) -> String {
    let highest = highest as usize;
    let parser = || Parser::new_ext(body, MARKDOWN).into_offset_iter();
    let levels = parser().filter_map(|(event, _)| match event {
        Event::Start(Tag::Heading { level, .. }) => Some(level as usize),
        _ => None,
    });
    let down = highest.saturating_sub(levels.min().unwrap_or(highest));
    // Where something is put in place of how many bytes.
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    let mut in_html = false;
    for (event, span) in parser() {
        let written = &body[span.clone()];
        match event {
            Event::Start(Tag::Heading { level, .. }) if down > 0 => {
                let marks = &DEEPEST[..(level as usize + down).min(DEEPEST.len())];
                let had = written.bytes().take_while(|byte| *byte == b'#').count();
                if had > 0 {
                    edits.push((span.start, had, marks.to_owned()));
                } else if let Some((heading, _)) = written.trim_end().rsplit_once('\n') {
                    // One that is underlined becomes one with marks, where it is on one line.
                    if !heading.contains('\n') {
                        let ends = if written.ends_with('\n') { "\n" } else { "" };
                        edits.push((span.start, span.len(), format!("{marks} {}{ends}", heading.trim())));
                    }
                }
            }
            Event::Start(Tag::HtmlBlock) => in_html = true,
            Event::End(TagEnd::HtmlBlock) => in_html = false,
            Event::InlineHtml(tag) if is_break(&tag) && !in_html => edits.push((span.start, span.len(), " / ".into())),
            Event::Html(_) | Event::InlineHtml(_) => {
                let opens = written.match_indices('<').map(|(at, _)| (span.start + at, 0, "\\".to_owned()));
                edits.extend(opens);
            }
            _ => {}
        }
    }
    edited(body, edits)
}

fn is_break(tag: &str) -> bool {
    let inner = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/').trim();
    inner.eq_ignore_ascii_case("br")
}

fn edited(body: &str, mut edits: Vec<(usize, usize, String)>) -> String {
    edits.sort_unstable_by_key(|(begin, length, _)| (*begin, *length));
    let (mut new, mut at) = (String::with_capacity(body.len() + edits.len() * 4), 0);
    for (begin, length, with) in edits {
        if begin < at {
            continue;
        }
        new.push_str(&body[at..begin]);
        new.push_str(&with);
        at = begin + length;
    }
    new.push_str(&body[at..]);
    new
}

/// A text whose wikilinks name their pages as `called` says: the page that one leads to is called so from now on; `None` leaves the
/// link, and so is one left that leads nowhere.
pub(super) fn linked(text: &str, names: &Names, called: impl Fn(&str) -> Option<String>) -> String {
    let body_at = front::part(text).body_at;
    link::rewritten(text, |link| {
        let target = called(meant(names, &link.target)?)?;
        if !link.wiki || link.target == target || target.parse::<PageName>().is_err() {
            return None;
        }
        let alias = link.alias.clone().or_else(|| (!link.embed).then(|| link.reads().to_owned()));
        let written = link::Link { target, alias, ..link.clone() }.to_string();
        // In a table a bar would end the cell.
        let begin = text[body_at..link.span.start].rfind('\n').map_or(body_at, |at| body_at + at + 1);
        let is_row = text[begin..link.span.start].trim_start().starts_with('|');
        Some(if is_row { written.replacen('|', "\\|", 1) } else { written })
    })
}

/// The page that a link means: of a document's pages, which are called alike, its summary.
fn meant<'n>(names: &'n Names, target: &str) -> Option<&'n str> {
    match names.resolve(target) {
        Resolved::One(page) => Some(page),
        Resolved::Several(pages) => {
            let mut others = pages.iter().filter(|page| !page.starts_with("sources/"));
            others.next().copied().filter(|page| page.starts_with("summaries/") && others.next().is_none())
        }
        Resolved::Nothing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::plain::contained;

    #[test]
    fn a_title_is_the_words_of_the_first_heading() {
        assert_eq!(titled("\n# The *tidal* [[x|range]] #\n\nText"), (Some("The tidal range".to_owned()), "\nText"));
        assert_eq!(titled("Text\n# Later\n"), (None, "Text\n# Later\n"));
        assert_eq!(titled("# "), (None, ""));
    }

    #[test]
    fn lists_of_links_that_our_pages_have_anyway_go_and_nothing_else() {
        let body = "Text\n\n## Related Documents\n- [[summaries/a]]\n- [[summaries/b]]\n\n\nSee also: [[summaries/a]]\n\n## Entities\n\
                    - [[entities/x]]\n- [[entities/other]]\n\n## Related Concepts\n- [[concepts/mine|as I say]]\nand why\n\n```\n\
                    ## Entities\n- [[entities/x]]\n```\n";
        let known = ["summaries/a", "summaries/b", "entities/x", "concepts/mine"];
        let kept = without_lists(body, |target| known.contains(&target));
        let expected = "Text\n\n## Entities\n- [[entities/other]]\n\n## Related Concepts\nand why\n\n```\n## Entities\n\
                        - [[entities/x]]\n```";
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_body_fits_below_a_heading_of_ours() {
        let body = "# One\n\nText<br>more <b>bold</b>\n\nTwo\n---\n\n###### Deep\n\n| a<br/>b |\n|---|\n\n`<b>`\n";
        let fitted = fitted(body, HeadingLevel::H3);
        assert_eq!(
            fitted,
            "### One\n\nText / more \\<b>bold\\</b>\n\n#### Two\n\n###### Deep\n\n| a / b |\n|---|\n\n`<b>`\n"
        );
        assert_eq!(contained(&fitted, Some(HeadingLevel::H3)), fitted.trim_end(), "it is taken as it is");
        assert_eq!(super::fitted("### Low\n", HeadingLevel::H3), "### Low\n");
    }

    #[test]
    fn links_are_written_in_full_wherever_they_stand() {
        let mut names = Names::default();
        ["concepts/tidal-range.md", "summaries/My paper.md", "index.md"].iter().for_each(|path| names.insert(path));
        let called = |name: &str| match name {
            "summaries/My paper" => Some("summaries/My-paper".to_owned()),
            other => Some(other.to_owned()),
        };
        let of = |text: &str| linked(text, &names, called);
        assert_eq!(
            of("[[Tidal-range]] [[concepts/tidal-range]]"),
            "[[concepts/tidal-range|Tidal-range]] [[concepts/tidal-range]]"
        );
        assert_eq!(of("[[summaries/My paper#Part|it]]"), "[[summaries/My-paper#Part|it]]");
        assert_eq!(of("| [[tidal-range]] |\n|---|\n"), "| [[concepts/tidal-range\\|tidal-range]] |\n|---|\n");
        assert_eq!(linked("[[tidal-range]]", &names, |_| None), "[[tidal-range]]");
        assert_eq!(of("[[nowhere]] [[index]] `[[tidal-range]]`"), "[[nowhere]] [[index]] `[[tidal-range]]`");
        // Of what is called alike, the document is meant.
        names.insert("sources/My paper.md");
        assert_eq!(linked("[[my paper]]", &names, called), "[[summaries/My-paper|my paper]]");
        names.insert("concepts/my paper.md");
        assert_eq!(linked("[[my paper]]", &names, called), "[[my paper]]");
    }
}
