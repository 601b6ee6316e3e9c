//! What a document is called. Owns which of the four places is trusted: front matter, first heading, what the file says of itself, its
//! name.

use std::sync::LazyLock;

use super::super::Source;
use crate::prose::{Blocks, Lexicon, cut, is_form_heading, lexicon, plain};

/// The most characters of a title.
const TITLE_CHARS_MAX: usize = 160;
/// So many short blocks may stand above it.
const ABOVE_BLOCKS_MAX: usize = 4;
/// How long each of them may be.
const ABOVE_BYTES_MAX: usize = 100;

/// First headings that name a part of any document.
static PARTS: Lexicon = LazyLock::new(|| lexicon(include_str!("../../prose/words/parts.txt")));

/// What programs write where a title belongs.
const NO_TITLES: &[&str] = &[
    "microsoft word",
    "untitled",
    "powerpoint presentation",
    "powerpoint-präsentation",
    "no title",
    "document1",
    "dokument1",
    "layout 1",
    "slide 1",
    "unbekannt",
    "presentation",
];
/// What a file's name ends in.
const SUFFIXES: &[&str] = &[
    ".doc", ".docx", ".pdf", ".dvi", ".tex", ".ppt", ".pptx", ".xls", ".xlsx", ".odt", ".indd", ".qxd", ".htm",
    ".html", ".txt", ".md", ".ps", ".rtf", ".pub",
];

/// What people call a document.
pub(super) fn of(source: &Source<'_>, blocks: &Blocks) -> String {
    let front = blocks.front_title.as_deref().map(plain).filter(|title| has_letters(title));
    let told = || source.converted.title.as_deref().map(plain).filter(|title| is_title(title));
    let title = front.or_else(|| heading(blocks)).or_else(told).unwrap_or_else(|| of_name(source.name.as_str()));
    cut(&title, TITLE_CHARS_MAX)
}

/// The first heading, where it stands above the text and names more than a part.
fn heading(blocks: &Blocks) -> Option<String> {
    let first = blocks.headings.first()?;
    // A line or two may stand above a title, and no paragraph.
    let mut before = blocks.blocks.iter().take_while(|block| block.line < first.line);
    let above = before.by_ref().take(ABOVE_BLOCKS_MAX).all(|block| block.text.len() <= ABOVE_BYTES_MAX)
        && before.next().is_none();
    let title = plain(&first.title);
    let highest = blocks.headings.iter().all(|heading| heading.level >= first.level);
    (above && highest && is_title(&title)).then_some(title)
}

fn is_title(title: &str) -> bool {
    let words = title.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    has_letters(title) && !PARTS.contains(words.as_str()) && !is_form_heading(title) && is_trusted(title)
}

fn has_letters(title: &str) -> bool {
    title.chars().filter(|c| c.is_alphabetic()).count() >= 2
}

/// Whether a person may have written this title.
fn is_trusted(title: &str) -> bool {
    let lower = title.to_lowercase();
    let file = SUFFIXES.iter().any(|suffix| lower.ends_with(suffix)) && !lower.contains(' ');
    has_letters(title) && !file && !NO_TITLES.iter().any(|no| lower.starts_with(no))
}

/// `port-ellen_manual` as a title.
pub(super) fn of_name(name: &str) -> String {
    let mut title = String::with_capacity(name.len());
    for character in plain(name).chars() {
        let space = matches!(character, '-' | '_' | ' ');
        if !(space && title.ends_with(' ')) {
            title.push(if space { ' ' } else { character });
        }
    }
    first_upper(title.trim())
}

/// A text whose first letter is a capital.
pub(super) fn first_upper(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}
