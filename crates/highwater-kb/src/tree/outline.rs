//! From headings to sections. Owns which headings are taken, and that their sections leave no line out.

use std::collections::BTreeSet;

use super::headings::Heading;
use super::lines::Lines;
use super::{OUTLINE_LEVELS_MAX, SECTIONS_MAX, SIBLINGS_MAX, Section, blank, running};

/// What lies before the first heading is called.
const BEGINNING: &str = "Beginning";
/// How many lines of labels a heading has above it at most, blank ones included …
const LABEL_LINES_MAX: u32 = 8;
/// … and how long each of them is.
const LABEL_CHARS_MAX: usize = 40;

/// The sections that these headings make: every line of the text is in one of them. One section is the whole text where headings do
/// not divide it.
pub(super) fn sections(headings: Vec<Heading>, lines: &Lines<'_>, pages: &[u32]) -> Vec<Section> {
    let headings = with_labels(chosen(headings, pages), lines, pages);
    let mut flat = headings.into_iter().peekable();
    let end = lines.count();
    let begin = flat.peek().map_or(end, |heading| heading.line);
    let mut sections = nested(&mut flat, 0, end);
    if lines.slice(0, begin).trim().is_empty() && !sections.is_empty() {
        sections[0].begin_line = 0;
    } else if begin > 0 {
        sections.insert(0, blank(BEGINNING, 0, begin));
    }
    // A title above everything is no section: what it holds are.
    while sections.len() == 1 && !sections[0].children.is_empty() {
        let mut title = sections.remove(0);
        let mut inner = std::mem::take(&mut title.children);
        let own = inner[0].begin_line;
        if lines.slice(title.begin_line + 1, own).trim().is_empty() {
            inner[0].begin_line = title.begin_line;
        } else {
            title.end_line = own;
            inner.insert(0, title);
        }
        sections = inner;
    }
    grouped(&mut sections);
    sections
}

/// The headings that divide the text.
fn chosen(mut headings: Vec<Heading>, pages: &[u32]) -> Vec<Heading> {
    headings.retain(|heading| heading.title.chars().any(char::is_alphabetic));
    running::left_out(&mut headings, pages);
    // One line is one heading, though two may be said to begin on it.
    headings.dedup_by_key(|heading| heading.line);
    loop {
        let levels: BTreeSet<u8> = headings.iter().map(|heading| heading.level).collect();
        let too_many = headings.len() > SECTIONS_MAX / 2;
        let Some(&deepest) = levels.last() else { return headings };
        if levels.len() <= OUTLINE_LEVELS_MAX && !(too_many && levels.len() > 1) {
            // So many entries of one level are a list.
            return if too_many { Vec::new() } else { headings };
        }
        headings.retain(|heading| heading.level < deepest);
    }
}

/// Begins a section where its page does, where nothing but labels stands above its heading there: the section before ends on the page before.
/// Labels that are set as headings of a lower level are no sections.
fn with_labels(headings: Vec<Heading>, lines: &Lines<'_>, pages: &[u32]) -> Vec<Heading> {
    let mut labelled: Vec<Heading> = Vec::with_capacity(headings.len());
    for mut heading in headings {
        let page = pages.partition_point(|begin| *begin <= heading.line).checked_sub(1).map_or(0, |page| pages[page]);
        let above = labelled.iter().rev().take_while(|before| before.line >= page);
        let (above, others) = above.fold((0, 0), |(labels, others), before| match before.level > heading.level {
            true => (labels + 1, others),
            false => (labels, others + 1),
        });
        let is_near = page > 0 && others == 0 && heading.line - page <= LABEL_LINES_MAX;
        if is_near && lines.slice(page, heading.line).lines().all(is_label) {
            labelled.truncate(labelled.len() - above);
            heading.line = page;
        }
        labelled.push(heading);
    }
    labelled
}

/// Whether a line is nothing, or a word or two such as a chapter's number or the head of a page: the end of a sentence is none.
fn is_label(line: &str) -> bool {
    let said = line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '*' | '_'));
    let ends_none = |last: char| !matches!(last, '.' | '!' | '?' | ':' | ';' | ',' | '。' | '！' | '？');
    said.is_empty()
        || said.chars().count() <= LABEL_CHARS_MAX
            && said.starts_with(|c: char| c.is_alphanumeric() && !c.is_lowercase())
            && said.ends_with(ends_none)
}

/// The sections above `level`, up to `end`. It goes as deep as there are levels.
fn nested(flat: &mut std::iter::Peekable<std::vec::IntoIter<Heading>>, level: u8, end: u32) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    while let Some(heading) = flat.next_if(|heading| heading.level > level) {
        if let Some(last) = sections.last_mut() {
            close(last, heading.line);
        }
        let mut section = blank(&heading.title, heading.line, end);
        section.children = nested(flat, heading.level, end);
        sections.push(section);
    }
    sections
}

/// Ends a section, and the last of its children with it.
fn close(section: &mut Section, end: u32) {
    section.end_line = end;
    if let Some(last) = section.children.last_mut() {
        close(last, end);
    }
}

/// Puts sections into groups where too many stand side by side.
fn grouped(sections: &mut Vec<Section>) {
    for section in sections.iter_mut() {
        grouped(&mut section.children);
    }
    if sections.len() <= SIBLINGS_MAX {
        return;
    }
    let size = sections.len().div_ceil(SIBLINGS_MAX).max(20);
    let mut groups = Vec::new();
    let mut rest = std::mem::take(sections).into_iter();
    loop {
        let children: Vec<Section> = rest.by_ref().take(size).collect();
        let (Some(first), Some(last)) = (children.first(), children.last()) else { break };
        let title = format!("{} – {}", crate::prose::cut(&first.title, 50), crate::prose::cut(&last.title, 50));
        let mut group = blank(&title, first.begin_line, last.end_line);
        group.children = children;
        groups.push(group);
    }
    *sections = groups;
}
