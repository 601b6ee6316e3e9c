//! A PDF's own outline. Owns that each of its entries is a heading on the page that it leads to: the text there that says it, else what
//! `complete` makes of it.

use std::collections::HashMap;

use unpdf::model::{InlineContent, OutlineItem};
use unpdf::{Block, Document, Paragraph};

use super::called::Called;
use super::complete::complete;
use super::headings::{LEVEL_MAX, paragraphs};

/// Most items of an outline that are looked at.
const ITEMS_MAX: usize = 50_000;
/// How deep an outline is looked into.
const DEPTH_MAX: u8 = 16;
/// How many entries of one title are looked at for one place, from the last: an outline of thousands that are called alike is none.
const ALIKE_MAX: usize = 1_000;
/// The longest text that is a heading because the outline has it.
pub(super) const HEADING_CHARS_MAX: usize = 200;

/// What an outline leads to.
pub(super) struct Entry {
    pub(super) title: String,
    pub(super) called: Called,
    /// Where it leads to, if that can be told.
    pub(super) page: Option<u32>,
    pub(super) level: u8,
}

impl Entry {
    /// Its title as a heading.
    pub(super) fn heading(&self) -> Block {
        Block::Paragraph(Paragraph::heading(self.title.trim(), self.level))
    }
}

/// A block of a document: its page's place, and its own on that page.
pub(super) type Place = (usize, usize);

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
            complete(&self.0, document, &said);
        }
    }

    /// Where each entry's title stands. A title may stand in many places, in running heads too: of all ways to find them in the order
    /// of the outline, one that finds the most.
    fn said(&self, document: &Document) -> Vec<Option<Place>> {
        let mut named: HashMap<(&str, Option<u32>), Vec<usize>> = HashMap::new();
        for (n, entry) in self.0.iter().enumerate() {
            named.entry((&entry.called.bare, entry.page)).or_default().push(n);
            if entry.called.whole != entry.called.bare {
                named.entry((&entry.called.whole, entry.page)).or_default().push(n);
            }
        }
        let mut candidates = Vec::new();
        for (page_at, page) in document.pages.iter().enumerate() {
            for (block, element) in page.elements.iter().enumerate() {
                let Block::Paragraph(paragraph) = element else { continue };
                let Some(title) = line(element).map(|text| Called::new(&text)) else { continue };
                // A heading may have gone over the edge of its page.
                let before = page.number.checked_sub(1).filter(|_| paragraph.is_heading()).map(Some);
                let pages = [Some(None), Some(Some(page.number)), before];
                let all = |name: &str| -> Vec<usize> {
                    let fitting = pages.iter().flatten().filter_map(|page| named.get(&(name, *page)));
                    fitting.flat_map(|all| all.iter().rev().take(ALIKE_MAX)).copied().collect()
                };
                // By its whole name rather than by what is left of that without a number.
                let mut fitting = all(&title.whole);
                if fitting.is_empty() {
                    fitting = all(&title.bare);
                }
                fitting.sort_unstable_by(|a, b| b.cmp(a));
                candidates.extend(fitting.into_iter().map(|n| ((page_at, block), n)));
            }
        }
        let mut said = vec![None; self.0.len()];
        for (place, n) in in_order(&candidates) {
            said[n] = Some(place);
        }
        said
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
pub(super) fn line(block: &Block) -> Option<String> {
    let Block::Paragraph(paragraph) = block else { return None };
    let long =
        |part: &InlineContent| matches!(part, InlineContent::Text(run) if run.text.len() > HEADING_CHARS_MAX * 4);
    if paragraph.content.len() > HEADING_CHARS_MAX || paragraph.content.iter().any(long) {
        return None;
    }
    let text = paragraph.plain_text();
    (text.chars().count() <= HEADING_CHARS_MAX).then_some(text)
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
    fn a_title_in_two_pieces_is_one_heading() {
        let outline = [("6. Package scripts and the order of installation", Some(1)), ("First", Some(1))];
        let pages = leveled(&[&["Package scripts and the", "order of installation", "First."]], &outline);
        assert_eq!(pages, [["# 6. Package scripts and the order of installation", "# First."]]);
    }

    #[test]
    fn a_title_in_many_pieces_is_one_heading_with_its_number() {
        let outline = [("Relationships: Build-Depends, Build-Conflicts", Some(1)), ("First", Some(1))];
        let pages = leveled(
            &[&["Before.", "7.7 Relation-", "ships: Build-", "Depends,", "Build-Conflicts", "First."]],
            &outline,
        );
        assert_eq!(pages, [["Before.", "# 7.7 Relationships: Build-Depends, Build-Conflicts", "# First."]]);
        let pages = leveled(
            &[&["5.14 I have a card", "that is new.", "End"]],
            &[("I have a card that is new.", Some(1)), ("End", Some(1))],
        );
        assert_eq!(pages, [["# 5.14 I have a card that is new.", "# End"]]);
    }

    #[test]
    fn titles_in_one_paragraph_are_headings_of_their_own() {
        let outline = [("R Basics", Some(1)), ("How installed?", Some(1)), ("On Unix", Some(1)), ("Mac", Some(2))];
        let page: &[&str] = &["Chapter 2: R Basics", "2.5 How installed? 2.5.1 On Unix", "So."];
        let pages = leveled(&[page, &["On.", "2.5.2 Mac"]], &outline);
        assert_eq!(pages[0], ["# Chapter 2: R Basics", "# 2.5 How installed?", "# 2.5.1 On Unix", "So."]);
        assert_eq!(pages[1], ["On.", "# 2.5.2 Mac"]);
    }

    #[test]
    fn a_title_before_text_is_a_heading_and_a_sentence_stays_whole() {
        let outline = [("First", Some(1)), ("Version 4.6.1", Some(1)), ("Visibility", Some(1)), ("Last", Some(1))];
        let page: &[&str] =
            &["First", "22.3 Version 4.6.1 Released in May.", "On.", "Visibility of names is hard.", "Last"];
        let expected = [
            "# First",
            "# 22.3 Version 4.6.1",
            "Released in May.",
            "On.",
            "# Visibility",
            "Visibility of names is hard.",
            "# Last",
        ];
        assert_eq!(leveled(&[page], &outline), [expected]);
    }

    #[test]
    fn a_title_is_looked_for_on_its_page_alone() {
        let contents: &[&str] = &["Contents", "Gauges", "Tables"];
        let pages = leveled(&[contents, &["Gauges"], &["On.", "Tables"]], &[("Gauges", Some(2)), ("Tables", Some(3))]);
        assert_eq!(pages, [vec!["Contents", "Gauges", "Tables"], vec!["# Gauges"], vec!["On.", "# Tables"]]);
    }

    #[test]
    fn an_entry_out_of_the_order_of_the_pages_begins_its_page_too() {
        let outline =
            [("One", Some(1)), ("Two", Some(2)), ("Nowhere", Some(1)), ("Three", Some(3)), ("Notes", Some(1))];
        let pages = leveled(&[&["One", "Notes"], &["Two"], &["Three"]], &outline);
        assert_eq!(pages, [vec!["# Nowhere", "# One", "# Notes"], vec!["# Two"], vec!["# Three"]]);
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
