//! A long text in parts that a model can read. Owns where it is parted: at sections, else between paragraphs, else between lines, and
//! within a line only where the line alone is too long.

use crate::llm::tokens::{cut, estimate};
use crate::tree::{Section, page_of};

/// The most parts of a document that are read: some 1,500 pages in parts of the smallest model.
pub const PARTS_MAX: usize = 256;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it is, for the model: `lines 1 to 80, pages 1 to 3`.
    pub(super) place: String,
    pub(super) text: String,
}

/// A text in parts of at most so many tokens.
pub(super) fn parts(text: &str, tree: &[Section], pages: &[u32], tokens_max: u64) -> Vec<Part> {
    let mut begins = Vec::new();
    section_begins(tree, &mut begins);
    begins.sort_unstable();
    let mut parts = Vec::new();
    let mut part = Open::default();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let mut line = line;
        loop {
            let weight = estimate(line);
            if part.tokens + weight <= tokens_max {
                part.take(line, number, weight, begins.binary_search(&number).is_ok());
                break;
            }
            if part.text.is_empty() {
                // The line alone is too long.
                let (kept, rest) = line.split_at(cut(line, tokens_max).len().max(first_bytes(line)));
                part.take(kept, number, estimate(kept), false);
                parts.push(std::mem::take(&mut part).closed(number, pages));
                line = rest;
                continue;
            }
            let rest = part.rest_after_best_end();
            parts.push(std::mem::replace(&mut part, rest).closed_before(number, pages));
        }
    }
    if !part.text.trim().is_empty() {
        let last = part.lines.last().map_or(0, |line| line.number);
        parts.push(part.closed(last, pages));
    }
    parts
}

/// Neighbours together, as many as have at most so many tokens.
pub(super) fn grouped(parts: Vec<Part>, tokens_max: u64) -> Vec<Part> {
    let mut groups: Vec<Part> = Vec::new();
    for part in parts {
        let text = format!("Of {}:\n\n{}", part.place, part.text);
        match groups.last_mut() {
            Some(group) if estimate(&group.text) + estimate(&text) < tokens_max => {
                group.text.push_str("\n\n");
                group.text.push_str(&text);
                group.place = format!("{} to {}", group.place.split(" to ").next().unwrap_or_default(), part.place);
            }
            _ => groups.push(Part { place: part.place, text }),
        }
    }
    groups
}

fn section_begins(tree: &[Section], begins: &mut Vec<u32>) {
    for section in tree {
        begins.push(section.begin_line);
        section_begins(&section.children, begins);
    }
}

fn first_bytes(line: &str) -> usize {
    line.chars().next().map_or(0, char::len_utf8)
}

/// A part that is not closed yet.
#[derive(Debug, Default)]
struct Open {
    text: String,
    tokens: u64,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    number: u32,
    /// Where it begins in the part.
    at: usize,
    tokens: u64,
    /// Whether a section begins with it.
    is_section: bool,
    is_blank: bool,
}

impl Open {
    fn take(&mut self, line: &str, number: u32, tokens: u64, is_section: bool) {
        let (at, is_blank) = (self.text.len(), line.trim().is_empty());
        self.lines.push(Line { number, at, tokens, is_section, is_blank });
        self.text.push_str(line);
        self.tokens += tokens;
    }

    /// Ends it at the best place of its second half, and gives what stands after that.
    fn rest_after_best_end(&mut self) -> Self {
        let half = self.tokens / 2;
        let (mut before, mut section, mut blank) = (0, None, None);
        for (index, line) in self.lines.iter().enumerate() {
            if index > 0 && before >= half {
                section = if line.is_section { Some(index) } else { section };
                blank = if line.is_blank { Some(index + 1) } else { blank };
            }
            before += line.tokens;
        }
        let end = section.or(blank).unwrap_or(self.lines.len());
        let mut rest = Self::default();
        let Some(at) = self.lines.get(end).map(|line| line.at) else { return rest };
        let text = self.text.split_off(at);
        for line in self.lines.split_off(end) {
            let begin = line.at - at;
            let stop = begin + line_bytes(&text[begin..]);
            rest.take(&text[begin..stop], line.number, line.tokens, line.is_section);
        }
        self.tokens -= rest.tokens;
        rest
    }

    fn closed_before(self, next: u32, pages: &[u32]) -> Part {
        let last = self.lines.last().map_or(next, |line| line.number);
        self.closed(last, pages)
    }

    fn closed(self, last: u32, pages: &[u32]) -> Part {
        let first = self.lines.first().map_or(last, |line| line.number);
        let lines = format!("lines {} to {}", first.saturating_add(1), last.saturating_add(1));
        let place = match page_of(pages, first).zip(page_of(pages, last)) {
            Some((from, to)) if from == to => format!("page {from}"),
            Some((from, to)) => format!("pages {from} to {to}"),
            None => lines,
        };
        Part { place, text: self.text }
    }
}

/// How long the first line of a text is, with its end.
fn line_bytes(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(begin_line: u32, end_line: u32) -> Section {
        Section {
            title: String::new(),
            begin_line,
            end_line,
            pages: None,
            summary: String::new(),
            children: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_text_and_none_is_too_long(
            lines in proptest::collection::vec("[a-z潮 ]{0,40}", 0..60),
            begins in proptest::collection::vec(0_u32..60, 0..6),
            tokens_max in 2_u64..60,
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let tree: Vec<Section> = begins.iter().map(|begin| section(*begin, *begin + 1)).collect();
            let parts = parts(&text, &tree, &[], tokens_max);
            let whole: String = parts.iter().map(|part| part.text.as_str()).collect();
            prop_assert_eq!(whole.trim_end(), text.trim_end());
            for part in &parts {
                prop_assert!(estimate(&part.text) <= tokens_max + 1, "{:?}", part);
            }
        }
    }

    #[test]
    fn a_text_is_parted_where_a_section_begins() {
        let text = "one two three\n".repeat(10) + "# Next\n" + &"four five six\n".repeat(8);
        let found = parts(&text, &[section(0, 10), section(10, 19)], &[0, 5, 10], 80);
        assert_eq!(found[0].place, "pages 1 to 2");
        assert!(found[1].text.starts_with("# Next\n"), "{found:?}");
        assert_eq!(found[1].place, "page 3");
    }

    #[test]
    fn notes_on_neighbours_stand_together() {
        let part = |place: &str| Part { place: place.to_owned(), text: "words".to_owned() };
        let grouped = grouped(vec![part("page 1"), part("pages 2 to 3"), part("page 4")], 20);
        let places: Vec<&str> = grouped.iter().map(|part| part.place.as_str()).collect();
        assert_eq!(places, ["page 1 to pages 2 to 3", "page 4"]);
    }
}
