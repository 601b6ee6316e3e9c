//! The sections of a document, as a tree: from its headings, and where these do not divide it, windows of pages or of lines. Owns the
//! tree's shape and its limits.
//!
//! Sections of one level follow each other without a gap: a line is in one section of each level at most, and children begin no
//! earlier than their parent and end with it. The lines of a section before its first child are its own.

mod gist;
mod headings;
mod lines;
mod outline;
mod running;
mod windows;

use serde::{Deserialize, Serialize};

use crate::convert::Converted;
use lines::Lines;

pub(crate) use gist::listed;

/// From so many pages on a document gets a tree.
pub const LONG_PAGES_MIN: usize = 20;
/// Or from so many words on, which is about as much.
pub const LONG_WORDS_MIN: usize = 8_000;
/// The most sections of a document.
pub const SECTIONS_MAX: usize = 1_000;
/// How deep a tree is at most: levels of headings, groups of them, and windows.
pub const DEPTH_MAX: usize = OUTLINE_LEVELS_MAX + 2;
/// How many levels of headings a tree shows.
const OUTLINE_LEVELS_MAX: usize = 4;
/// More sections than these side by side are put into groups.
const SIBLINGS_MAX: usize = 60;
/// A section without headings of its own that is longer is divided by pages …
const LEAF_PAGES_MAX: u32 = 20;
/// … or by words.
const LEAF_WORDS_MAX: usize = 8_000;
/// The most characters of a section's title: as many as a heading of a PDF has at most, since a question or a list of names that is cut
/// is another.
pub const TITLE_CHARS_MAX: usize = 200;
/// The most characters of what a section says.
pub const SUMMARY_CHARS_MAX: usize = 240;

/// A section of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its heading, or which pages it is where there are no headings.
    pub title: String,
    /// On which line of the text it begins, from 0.
    pub begin_line: u32,
    /// The line after its last, children included.
    pub end_line: u32,
    /// Its first and its last page, from 1, where the document has pages.
    pub pages: Option<(u32, u32)>,
    /// What it says, in a sentence or two.
    pub summary: String,
    /// What it consists of.
    pub children: Vec<Section>,
}

/// The sections of a document that is long; none of one that is short.
#[must_use]
pub fn build(converted: &Converted) -> Vec<Section> {
    if !is_long(converted) {
        return Vec::new();
    }
    let text = converted.markdown.as_str();
    let lines = Lines::of(text);
    let pages = in_order(&converted.page_lines);
    let mut sections = outline::sections(headings::read(text), &lines, &pages);
    windows::divide(&mut sections, text, &lines, &pages);
    gist::tell(&mut sections, text, &lines);
    number(&mut sections, &pages);
    sections
}

/// Whether a document gets a tree.
#[must_use]
pub fn is_long(converted: &Converted) -> bool {
    if converted.page_lines.len() >= LONG_PAGES_MIN {
        return true;
    }
    let mut words = 0;
    for line in converted.markdown.lines() {
        words += words_of(line);
        if words >= LONG_WORDS_MIN {
            return true;
        }
    }
    false
}

/// How many words a line has; of a script without spaces, half of its characters.
fn words_of(line: &str) -> usize {
    crate::prose::count_words(line)
}

/// Which page a line is on, from 1, where the lines on which pages begin are in order.
#[must_use]
pub fn page_of(pages: &[u32], line: u32) -> Option<u32> {
    let before = pages.partition_point(|begin| *begin <= line);
    (!pages.is_empty()).then(|| u32::try_from(before.max(1)).unwrap_or(u32::MAX))
}

/// The lines on which pages begin, none before the one before it.
#[must_use]
pub fn in_order(page_lines: &[u32]) -> Vec<u32> {
    let mut highest = 0;
    page_lines
        .iter()
        .map(|line| {
            highest = highest.max(*line);
            highest
        })
        .collect()
}

fn number(sections: &mut [Section], pages: &[u32]) {
    for section in sections {
        let last = section.end_line.saturating_sub(1).max(section.begin_line);
        section.pages = page_of(pages, section.begin_line).zip(page_of(pages, last));
        number(&mut section.children, pages);
    }
}

/// A section that says nothing yet.
fn blank(title: &str, begin_line: u32, end_line: u32) -> Section {
    let title = crate::prose::cut(&crate::prose::plain(title), TITLE_CHARS_MAX);
    Section { title, begin_line, end_line, pages: None, summary: String::new(), children: Vec::new() }
}

/// How many sections there are, children included.
#[must_use]
pub fn count(sections: &[Section]) -> usize {
    sections.iter().map(|section| 1 + count(&section.children)).sum()
}
