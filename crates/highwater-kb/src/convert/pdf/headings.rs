//! The levels of a PDF's headings. Each page was read by itself, so that the same heading may be of another level on another page:
//! here they are levelled over the whole document, by its own outline where it has one, else by
//! their numbers.

use unpdf::{Block, Document, Paragraph};

use super::outline::Entries;

/// The deepest level.
pub(super) const LEVEL_MAX: u8 = 6;

/// Levels the headings of a document.
pub(super) fn level(document: &mut Document) {
    for page in &mut document.pages {
        for (_, paragraph) in paragraphs(&mut page.elements).filter(|(_, paragraph)| paragraph.is_heading()) {
            if is_of_contents(&paragraph.plain_text()) {
                paragraph.style.heading_level = None;
            }
        }
    }
    if let Some(entries) = Entries::of(document) {
        entries.level(document);
    } else if !document.metadata.tagged {
        by_number(document);
    }
}

/// Whether a line is one of a table of contents: it leads to a page's number by dots.
fn is_of_contents(line: &str) -> bool {
    let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let leader = bare.trim_end_matches(|c: char| c.is_ascii_digit() || "ivxlc".contains(c));
    leader.ends_with("..") && leader.len() < bare.len()
}

/// Without an outline: a heading that is numbered says its own level, below that of the title; the others stay as their page has
/// them.
fn by_number(document: &mut Document) {
    let below = u8::from(document.pages.first_mut().is_some_and(|page| {
        let mut headings = paragraphs(&mut page.elements).filter(|(_, paragraph)| paragraph.is_heading());
        headings.next().is_some_and(|(_, first)| numbered(&first.plain_text()).is_none())
    }));
    for page in &mut document.pages {
        for (_, paragraph) in paragraphs(&mut page.elements).filter(|(_, paragraph)| paragraph.is_heading()) {
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

/// Paragraphs, with their places.
pub(super) fn paragraphs(blocks: &mut [Block]) -> impl Iterator<Item = (usize, &mut Paragraph)> {
    blocks.iter_mut().enumerate().filter_map(|(place, block)| match block {
        Block::Paragraph(paragraph) => Some((place, paragraph)),
        _ => None,
    })
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
