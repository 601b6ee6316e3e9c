//! The levels of a PDF's headings. Each page was read by itself, so that the same heading may be of another level on another page:
//! here they are levelled over the whole document, by its own outline where it has one, else by
//! their numbers.

use std::collections::HashMap;

use unpdf::model::OutlineItem;
use unpdf::{Block, Document, Paragraph};

/// The deepest level.
const LEVEL_MAX: u8 = 6;
/// Most items of an outline that are looked at.
const ITEMS_MAX: usize = 50_000;
/// How deep an outline is looked into.
const DEPTH_MAX: u8 = 16;
/// The longest text that is a heading because the outline has it.
const HEADING_CHARS_MAX: usize = 200;

/// Levels the headings of a document.
pub(super) fn level(document: &mut Document) {
    for page in &mut document.pages {
        for paragraph in paragraphs(&mut page.elements).filter(|paragraph| paragraph.is_heading()) {
            if is_of_contents(&paragraph.plain_text()) {
                paragraph.style.heading_level = None;
            }
        }
    }
    let mut outlined = HashMap::new();
    let mut left = ITEMS_MAX;
    if let Some(outline) = &document.outline {
        gather(&outline.items, 1, &mut left, &mut outlined);
    }
    if !outlined.is_empty() {
        by_outline(document, &outlined);
    } else if !document.metadata.tagged {
        by_number(document);
    }
}

/// Which level the outline gives each title, and on which page; a title that comes twice has two pages.
fn gather(items: &[OutlineItem], level: u8, left: &mut usize, outlined: &mut HashMap<String, Vec<(Option<u32>, u8)>>) {
    for item in items {
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        let title = letters(&item.title);
        if !title.is_empty() {
            outlined.entry(title).or_default().push((item.page, level.min(LEVEL_MAX)));
        }
        if level < DEPTH_MAX {
            gather(&item.children, level + 1, left, outlined);
        }
    }
}

/// Whether a line is one of a table of contents: it leads to a page's number by dots.
fn is_of_contents(line: &str) -> bool {
    let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let leader = bare.trim_end_matches(|c: char| c.is_ascii_digit() || "ivxlc".contains(c));
    leader.ends_with("..") && leader.len() < bare.len()
}

fn by_outline(document: &mut Document, outlined: &HashMap<String, Vec<(Option<u32>, u8)>>) {
    let deepest = outlined.values().flatten().map(|(_, level)| *level).max().unwrap_or(LEVEL_MAX);
    for page in &mut document.pages {
        let number = page.number;
        for paragraph in paragraphs(&mut page.elements) {
            let text = paragraph.plain_text();
            if text.chars().count() > HEADING_CHARS_MAX {
                continue;
            }
            let title = letters(&text);
            // "3.1 Gauges" may be "Gauges" in the outline.
            let bare = title.trim_start_matches(|c: char| c.is_ascii_digit());
            let found = outlined.get(&title).or_else(|| outlined.get(bare));
            let here = found.and_then(|places| places.iter().find(|(page, _)| page.is_none_or(|page| page == number)));
            match here {
                Some((_, level)) => paragraph.style.heading_level = Some(*level),
                // A heading that the outline does not have is below those that it has.
                None => {
                    if let Some(level) = &mut paragraph.style.heading_level {
                        *level = (deepest + 1).min(LEVEL_MAX);
                    }
                }
            }
        }
    }
}

/// Without an outline: a heading that is numbered says its own level, below that of the title; the others stay as their page has
/// them.
fn by_number(document: &mut Document) {
    let below = u8::from(document.pages.first_mut().is_some_and(|page| {
        let mut headings = paragraphs(&mut page.elements).filter(|paragraph| paragraph.is_heading());
        headings.next().is_some_and(|first| numbered(&first.plain_text()).is_none())
    }));
    for page in &mut document.pages {
        for paragraph in paragraphs(&mut page.elements).filter(|paragraph| paragraph.is_heading()) {
            if let Some(parts) = numbered(&paragraph.plain_text()) {
                paragraph.style.heading_level = Some((parts + below).min(LEVEL_MAX));
            }
        }
    }
}

/// How many parts the number of a heading has: `3.1 Gauges` has two.
fn numbered(heading: &str) -> Option<u8> {
    let (number, title) = heading.trim_start().split_once(char::is_whitespace)?;
    let parts: Vec<&str> = number.trim_end_matches('.').split('.').collect();
    let whole =
        parts.iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()));
    (whole && title.chars().any(char::is_alphabetic)).then(|| u8::try_from(parts.len()).unwrap_or(LEVEL_MAX))
}

fn paragraphs(blocks: &mut [Block]) -> impl Iterator<Item = &mut Paragraph> {
    blocks.iter_mut().filter_map(|block| match block {
        Block::Paragraph(paragraph) => Some(paragraph),
        _ => None,
    })
}

/// A title by its letters and digits alone.
fn letters(title: &str) -> String {
    title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_numbered_and_no_line_of_a_table_of_contents() {
        assert_eq!(numbered("3.1 Gauges"), Some(2));
        assert_eq!(numbered("2. Gauges"), Some(1));
        for other in ["Gauges", "1999 was a year", "3.1", "1.x Gauges", "3 4"] {
            assert_eq!(numbered(other), None, "{other}");
        }
        assert!(is_of_contents("2 Simple manipulations . . . . 8") && is_of_contents("Preface......iv"));
        assert!(!is_of_contents("To be continued...") && !is_of_contents("Chapter 3"));
    }
}
