//! A PDF's own outline. Owns that each of its entries is a heading on the page that it leads to: the text there that says it, else its title,
//! put where the text begins.

use std::collections::HashMap;

use unpdf::model::OutlineItem;
use unpdf::{Block, Document, Paragraph};

use super::headings::{LEVEL_MAX, paragraphs};

/// Most items of an outline that are looked at.
const ITEMS_MAX: usize = 50_000;
/// How deep an outline is looked into.
const DEPTH_MAX: u8 = 16;
/// How many entries of one title are looked at for one place, from the last: an outline of thousands that are called alike is none.
const ALIKE_MAX: usize = 1_000;
/// The longest text that is a heading because the outline has it.
const HEADING_CHARS_MAX: usize = 200;

/// What an outline leads to.
struct Entry {
    title: String,
    called: Called,
    /// Where it leads to, if that can be told: many documents name their places otherwise.
    page: Option<u32>,
    level: u8,
}

/// A title by its letters and digits alone: with its number, and without, since that may stand on the page alone, or in the outline alone.
#[derive(Debug, PartialEq, Eq)]
struct Called {
    whole: String,
    bare: String,
}

impl Called {
    fn new(title: &str) -> Self {
        let mut words = title.split_whitespace().peekable();
        words.next_if(|word| matches!(word.to_lowercase().as_str(), "chapter" | "appendix"));
        words.next_if(|word| is_number(word));
        let (whole, bare) = (letters(title), letters(&words.collect::<String>()));
        Self { bare: if bare.is_empty() { whole.clone() } else { bare }, whole }
    }

    fn is(&self, other: &Self) -> bool {
        self.whole == other.whole || self.bare == other.whole || self.whole == other.bare || self.bare == other.bare
    }
}

/// `3`, `3.1.`, `A`, `A.1:`
fn is_number(word: &str) -> bool {
    let mut parts = word.trim_end_matches(['.', ':', ')']).split('.');
    let is_count = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = |part: &str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_uppercase());
    parts.next().is_some_and(|first| is_count(first) || is_letter(first)) && parts.all(is_count)
}

/// A block of a document: its page's place, and its own on that page.
type Place = (usize, usize);

/// The entries of an outline, in its order.
pub(super) struct Entries(Vec<Entry>);

impl Entries {
    /// Those of a document; none where it has no outline.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let mut entries = Vec::new();
        gather(&document.outline.as_ref()?.items, 1, &mut entries);
        (!entries.is_empty()).then_some(Self(entries))
    }

    /// Levels the headings of a document by these entries.
    pub(super) fn level(&self, document: &mut Document) {
        let said = self.said(document);
        let deepest = self.0.iter().map(|entry| entry.level).max().unwrap_or(LEVEL_MAX);
        let levels: HashMap<Place, u8> =
            said.iter().zip(&self.0).filter_map(|(place, entry)| Some(((*place)?, entry.level))).collect();
        for (n, page) in document.pages.iter_mut().enumerate() {
            for (block, paragraph) in paragraphs(&mut page.elements) {
                match (levels.get(&(n, block)), &mut paragraph.style.heading_level) {
                    (Some(level), heading) => *heading = Some(*level),
                    // A heading that the outline does not have is below those that it has.
                    (None, Some(heading)) => *heading = (deepest + 1).min(LEVEL_MAX),
                    (None, None) => {}
                }
            }
        }
        // Some outlines name files, or pages by their numbers: those say nothing of what stands there.
        if said.iter().flatten().count() * 2 >= self.0.len() {
            self.complete(document, &said);
        }
    }

    /// Where each entry's title stands. A title may stand in many places, in running heads too: of all ways to find them in the order
    /// of the outline, one that finds the most.
    fn said(&self, document: &Document) -> Vec<Option<Place>> {
        let mut named: HashMap<&str, Vec<usize>> = HashMap::new();
        for (n, entry) in self.0.iter().enumerate() {
            named.entry(&entry.called.bare).or_default().push(n);
            if entry.called.whole != entry.called.bare {
                named.entry(&entry.called.whole).or_default().push(n);
            }
        }
        let mut candidates = Vec::new();
        for (page_at, page) in document.pages.iter().enumerate() {
            for (block, element) in page.elements.iter().enumerate() {
                let Block::Paragraph(paragraph) = element else { continue };
                let Some(title) = said_by(element).map(|text| Called::new(&text)) else { continue };
                // By its whole name rather than by what is left of that without a number.
                let all = [&title.whole, &title.bare].into_iter().find_map(|name| named.get(name.as_str()));
                let all = all.map_or(&[][..], Vec::as_slice);
                let leads = |n: &&usize| match self.0[**n].page {
                    None => true,
                    Some(page_of) if page_of == page.number => true,
                    // It went over the edge of its page.
                    Some(page_of) => page_of.saturating_add(1) == page.number && paragraph.is_heading(),
                };
                let fitting = all.iter().rev().filter(leads).take(ALIKE_MAX);
                candidates.extend(fitting.map(|n| ((page_at, block), *n)));
            }
        }
        let mut said = vec![None; self.0.len()];
        for (place, n) in in_order(&candidates) {
            said[n] = Some(place);
        }
        said
    }

    /// Makes headings of those entries whose titles stand in pieces, or nowhere: these on the page that they lead to, else where the next
    /// of the outline begins.
    fn complete(&self, document: &mut Document, said: &[Option<Place>]) {
        let pages: HashMap<u32, usize> =
            document.pages.iter().enumerate().map(|(at, page)| (page.number, at)).collect();
        let mut before = Vec::with_capacity(said.len());
        let mut last = None;
        for place in said {
            before.push(last);
            last = place.or(last);
        }
        let mut next: Option<Place> = None;
        for ((entry, place), before) in self.0.iter().zip(said).zip(before).rev() {
            if place.is_some() {
                next = *place;
                continue;
            }
            let Some(at) = entry.page.and_then(|page| pages.get(&page).copied()).or(next.map(|(at, _)| at)) else {
                continue;
            };
            let elements = &mut document.pages[at].elements;
            let begin = before.filter(|(page, _)| *page == at).map_or(0, |(_, block)| block + 1);
            let end = next.filter(|(page, _)| *page == at).map_or(elements.len(), |(_, block)| block);
            if begin > end || before.is_some_and(|(page, _)| page > at) || next.is_some_and(|(page, _)| page < at) {
                continue;
            }
            let heading = Block::Paragraph(Paragraph::heading(entry.title.trim(), entry.level));
            let is_alone = begin == 0 && end == elements.len();
            let here = match pieces(&elements[begin..end], &entry.called) {
                Some(first) => {
                    elements.splice(begin + first..begin + first + 2, [heading]);
                    begin + first
                }
                None => {
                    let here = if is_alone { 0 } else { end };
                    elements.insert(here, heading);
                    here
                }
            };
            next = Some((at, here));
        }
    }
}

/// Of places with entries, in the order of the places and, at one place, from the last entry to the first: the most of them whose entries are in
/// their order, too.
fn in_order(candidates: &[(Place, usize)]) -> Vec<(Place, usize)> {
    // Which candidate ends the best row of each length, and what comes before each.
    let (mut ends, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::with_capacity(candidates.len()));
    for (at, (_, entry)) in candidates.iter().enumerate() {
        let length = ends.partition_point(|end| candidates[*end].1 < *entry);
        before.push(length.checked_sub(1).map(|length| ends[length]));
        match ends.get_mut(length) {
            // The first place of several: those after it are running heads.
            Some(end) if candidates[*end].1 == *entry => {}
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut row = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(candidate) = at {
        row.push(candidates[candidate]);
        at = before[candidate];
    }
    row.reverse();
    row
}

fn gather(items: &[OutlineItem], level: u8, entries: &mut Vec<Entry>) {
    for item in items {
        if entries.len() >= ITEMS_MAX {
            return;
        }
        let called = Called::new(&item.title);
        if !called.whole.is_empty() {
            entries.push(Entry { title: item.title.clone(), called, page: item.page, level: level.min(LEVEL_MAX) });
        }
        if level < DEPTH_MAX {
            gather(&item.children, level + 1, entries);
        }
    }
}

/// What a block says that may be a title.
fn said_by(block: &Block) -> Option<String> {
    let Block::Paragraph(paragraph) = block else { return None };
    let text = paragraph.plain_text();
    (text.chars().count() <= HEADING_CHARS_MAX).then_some(text)
}

/// Where a title stands in two paragraphs, as one that is long does.
fn pieces(blocks: &[Block], title: &Called) -> Option<usize> {
    blocks.windows(2).position(|two| {
        let joined = said_by(&two[0]).zip(said_by(&two[1])).map(|(first, second)| format!("{first} {second}"));
        joined.is_some_and(|joined| Called::new(&joined).is(title))
    })
}

fn letters(title: &str) -> String {
    title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use unpdf::Page;
    use unpdf::model::Outline;

    use super::*;

    /// A document of these pages, each of these paragraphs; an outline of titles with their pages, all of one level.
    fn leveled(pages: &[&[&str]], outline: &[(&str, Option<u32>)]) -> Vec<Vec<String>> {
        let mut document = Document::new();
        for (number, texts) in (1..).zip(pages) {
            let mut page = Page::new(number, 612.0, 792.0);
            page.elements = texts.iter().map(|text| Block::Paragraph(Paragraph::with_text(*text))).collect();
            document.add_page(page);
        }
        let items = outline.iter().map(|(title, page)| OutlineItem::new(*title, *page, 0)).collect();
        document.outline = Some(Outline { items });
        Entries::of(&document).unwrap().level(&mut document);
        let line = |block: &Block| match block {
            Block::Paragraph(paragraph) => {
                let mark = if paragraph.is_heading() { "# " } else { "" };
                format!("{mark}{}", paragraph.plain_text())
            }
            _ => String::new(),
        };
        document.pages.iter().map(|page| page.elements.iter().map(line).collect()).collect()
    }

    #[test]
    fn a_title_on_its_page_is_a_heading_with_its_number_or_without() {
        let pages = leveled(&[&["1 Gauges", "They float."], &["Gauges"]], &[("Gauges", Some(1))]);
        assert_eq!(pages, [vec!["# 1 Gauges", "They float."], vec!["Gauges"]]);
    }

    #[test]
    fn a_number_is_no_part_of_a_title() {
        let same = [
            ("6. Scripts", "Chapter 6: Scripts"),
            ("A Tools", "Appendix A Tools"),
            ("Libraries", "A.1 Libraries"),
            ("3.1 Gauges", "Gauges"),
        ];
        for (one, other) in same {
            assert!(Called::new(one).is(&Called::new(other)), "{one} {other}");
        }
        for (one, other) in [("1999", "2001"), ("A.1 Libraries", "A.1 Tools"), ("CSV Files", "Files")] {
            assert!(!Called::new(one).is(&Called::new(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_title_in_two_pieces_is_one_heading() {
        let outline = [("6. Package scripts and the order of installation", Some(1)), ("First", Some(1))];
        let pages = leveled(&[&["Package scripts and the", "order of installation", "First."]], &outline);
        assert_eq!(pages, [["# 6. Package scripts and the order of installation", "# First."]]);
    }

    #[test]
    fn a_title_that_stands_nowhere_begins_its_page_or_stands_before_the_next() {
        let pages = leveled(
            &[&["It begins.", "6.1 Introduction", "So."], &["Alone."]],
            &[("6 Scripts", Some(1)), ("6.1 Introduction", Some(1)), ("7 Fields", Some(2)), ("Alone", Some(2))],
        );
        let first = ["It begins.", "# 6 Scripts", "# 6.1 Introduction", "So."].map(str::to_owned).to_vec();
        assert_eq!(pages, [first, vec!["# 7 Fields".to_owned(), "# Alone.".to_owned()]]);
    }

    #[test]
    fn where_the_outline_leads_nowhere_titles_are_found_in_its_order() {
        let pages: [&[&str]; 4] =
            [&["Name", "ls"], &["Options", "Name"], &["Options", "Name", "The end"], &["The end"]];
        let outline = ["Name", "ls", "Name", "2 Options", "3 Bugs", "The end"].map(|title| (title, None));
        let leveled = leveled(&pages, &outline);
        assert_eq!(leveled[0], ["# Name", "# ls"]);
        assert_eq!(leveled[1], ["Options", "# Name"], "what comes before its turn is a running head");
        assert_eq!(leveled[2], ["# Options", "Name", "# 3 Bugs", "# The end"]);
        assert_eq!(leveled[3], ["The end"], "a running head");
    }

    #[test]
    fn an_outline_that_names_files_makes_no_headings() {
        let leveled = leveled(&[&["A text."]], &[("scan-0001.tif", Some(1)), ("scan-0002.tif", Some(1))]);
        assert_eq!(leveled, [["A text."]]);
    }
}
