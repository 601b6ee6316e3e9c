//! Windows of pages, or of lines: what divides a text where headings do not. Owns where they begin.

use super::lines::Lines;
use super::{LEAF_PAGES_MAX, LEAF_WORDS_MAX, SECTIONS_MAX, SIBLINGS_MAX, Section, blank, count, page_of, words_of};

/// The pages of a window.
const WINDOW_PAGES: u32 = 10;
/// The words of a window, about.
const WINDOW_WORDS: usize = 4_000;

/// Divides what is too long and has no headings.
pub(super) fn divide(sections: &mut Vec<Section>, text: &str, lines: &Lines<'_>, pages: &[u32]) {
    let mut room = SECTIONS_MAX.saturating_sub(count(sections));
    match sections.as_mut_slice() {
        [] => *sections = windows(0, lines.count(), lines, pages, room),
        [only] if only.children.is_empty() => {
            let found = windows(only.begin_line, only.end_line, lines, pages, room);
            if found.len() > 1 {
                *sections = found;
            }
        }
        many => {
            for section in many {
                leaf(section, lines, pages, &mut room);
            }
        }
    }
    if sections.is_empty() && !text.is_empty() {
        sections.push(blank("Text", 0, lines.count()));
    }
}

fn leaf(section: &mut Section, lines: &Lines<'_>, pages: &[u32], room: &mut usize) {
    for child in &mut section.children {
        leaf(child, lines, pages, room);
    }
    if !section.children.is_empty() {
        return;
    }
    let found = windows(section.begin_line, section.end_line, lines, pages, *room);
    if found.len() > 1 && found.len() <= *room {
        *room -= found.len();
        section.children = found;
    }
}

/// The windows of some lines; one, or none, where they are not too many.
fn windows(begin: u32, end: u32, lines: &Lines<'_>, pages: &[u32], room: usize) -> Vec<Section> {
    let most = SIBLINGS_MAX.min(room);
    if most < 2 || begin >= end {
        return Vec::new();
    }
    if pages.is_empty() { by_lines(begin, end, lines, most) } else { by_pages(begin, end, pages, most) }
}

fn by_pages(begin: u32, end: u32, pages: &[u32], most: usize) -> Vec<Section> {
    let page = |line| page_of(pages, line).unwrap_or(1);
    let (first, last) = (page(begin), page(end - 1));
    let all = last - first + 1;
    if all <= LEAF_PAGES_MAX {
        return Vec::new();
    }
    let size = WINDOW_PAGES.max(all.div_ceil(u32::try_from(most).unwrap_or(u32::MAX)));
    let mut found: Vec<Section> = Vec::new();
    let (mut from, mut number) = (begin, first);
    while from < end {
        // The next window begins where its first page does, and no earlier than one line on.
        let next = pages.get((number + size - 1) as usize).copied().unwrap_or(end).min(end);
        number += size;
        if next > from {
            let (a, b) = (page(from), page(next - 1));
            let title = if a == b { format!("Page {a}") } else { format!("Pages {a}–{b}") };
            found.push(blank(&title, from, next));
            from = next;
        }
    }
    found
}

fn by_lines(begin: u32, end: u32, lines: &Lines<'_>, most: usize) -> Vec<Section> {
    let text = lines.slice(begin, end);
    let all: usize = text.lines().map(words_of).sum();
    if all <= LEAF_WORDS_MAX {
        return Vec::new();
    }
    let size = WINDOW_WORDS.max(all.div_ceil(most));
    let mut found = Vec::new();
    let (mut from, mut words) = (begin, 0);
    for (line, said) in (begin..end).zip(text.lines()) {
        // A paragraph is kept whole where it is not too long.
        let here = (words >= size && said.trim().is_empty()) || words >= size * 2;
        if here && found.len() + 1 < most {
            found.push(window(from, line));
            (from, words) = (line, 0);
        }
        words += words_of(said);
    }
    found.push(window(from, end));
    found
}

fn window(from: u32, to: u32) -> Section {
    blank(&format!("Lines {}–{to}", from + 1), from, to)
}
