//! The entries of an outline whose titles do not stand by themselves. Owns where their headings come to be: in place of the pieces that a
//! title stands in, or of a paragraph that begins with it, with others or with text; else on the page that it leads to, or where the
//! next of the outline begins.

use std::collections::HashMap;

use unpdf::model::InlineContent;
use unpdf::{Block, Document, Paragraph};

use super::called::{Called, number_of};
use super::outline::{Entry, HEADING_CHARS_MAX, Place, line};

/// In how many paragraphs a title may stand in pieces.
const PIECES_MAX: usize = 5;
/// How many titles may stand in one paragraph.
const TOGETHER_MAX: usize = 8;
/// How much of a paragraph is looked at for the titles that it begins with.
const OPENING_CHARS_MAX: usize = HEADING_CHARS_MAX * TOGETHER_MAX;
/// How many paragraphs are looked at, over all entries: those that are left then are put on their pages by themselves.
const PARAGRAPHS_MAX: usize = 200_000;

/// Makes headings of those entries that are not said anywhere; `said` tells where the others are.
pub(super) fn complete(entries: &[Entry], document: &mut Document, said: &[Option<Place>]) {
    let pages: HashMap<u32, usize> = document.pages.iter().enumerate().map(|(at, page)| (page.number, at)).collect();
    let mut before = Vec::with_capacity(said.len());
    let mut last = None;
    for place in said {
        before.push(last);
        last = place.or(last);
    }
    let (mut next, mut astray): (Option<Place>, Vec<(usize, usize)>) = (None, Vec::new());
    let (mut left, mut room) = (entries.len(), PARAGRAPHS_MAX);
    while let Some(n) = left.checked_sub(1) {
        left = n;
        if said[n].is_some() {
            next = said[n];
            continue;
        }
        let leads = entries[n].page.and_then(|page| pages.get(&page).copied());
        let Some(at) = leads.or(next.map(|(at, _)| at)) else { continue };
        let elements = &mut document.pages[at].elements;
        let begin = before[n].filter(|(page, _)| *page == at).map_or(0, |(_, block)| block + 1);
        let end = next.filter(|(page, _)| *page == at).map_or(elements.len(), |(_, block)| block);
        if begin > end || before[n].is_some_and(|(page, _)| page > at) || next.is_some_and(|(page, _)| page < at) {
            astray.push((n, at));
            continue;
        }
        let blocks = &elements[begin..end];
        let found = room.checked_sub(blocks.len()).and_then(|rest| {
            room = rest;
            // Those just before it that are not said either may stand together with it.
            let alike = |m: &usize| said[*m].is_none() && entries[*m].page == entries[n].page;
            let first = (n.saturating_sub(TOGETHER_MAX - 1)..n).rev().take_while(alike).last().unwrap_or(n);
            found(blocks, &entries[first..=n])
        });
        let here = match found {
            Some(found) => {
                left = n + 1 - found.headings;
                let place = begin + found.at;
                elements.splice(place..place + found.blocks, found.instead);
                place
            }
            None => {
                let here = if begin == 0 && end == elements.len() { 0 } else { end };
                elements.insert(here, entries[n].heading());
                here
            }
        };
        next = Some((at, here));
    }
    // What the outline does not have in the order of the pages is a heading there, too.
    for (n, at) in astray.into_iter().filter(|(n, _)| entries[*n].page.is_some()) {
        let elements = &mut document.pages[at].elements;
        if room < elements.len() {
            break;
        }
        room -= elements.len();
        let is_it = |block: &Block| line(block).is_some_and(|line| Called::new(&line).is(&entries[n].called));
        match elements.iter_mut().find(|block| is_it(block)) {
            Some(Block::Paragraph(paragraph)) => paragraph.style.heading_level = Some(entries[n].level),
            _ => elements.insert(0, entries[n].heading()),
        }
    }
}

/// What the last of some entries is found in.
struct Found {
    /// Where it begins, and how many blocks it is.
    at: usize,
    blocks: usize,
    /// How many of the entries, from the last, have their headings there.
    headings: usize,
    /// What stands there instead.
    instead: Vec<Block>,
}

fn found(blocks: &[Block], entries: &[Entry]) -> Option<Found> {
    let last = entries.last()?;
    let lines: Vec<Option<String>> = blocks.iter().map(line).collect();
    (0..blocks.len()).find_map(|at| in_pieces(&lines, at, last)).or_else(|| {
        let mut paragraphs = blocks.iter().enumerate().filter_map(|(at, block)| match block {
            Block::Paragraph(paragraph) if paragraph.style.list_info.is_none() => Some((at, paragraph)),
            _ => None,
        });
        paragraphs.find_map(|(at, paragraph)| together(at, paragraph, entries))
    })
}

/// A title that begins at this line and goes on in those after it.
fn in_pieces(lines: &[Option<String>], at: usize, entry: &Entry) -> Option<Found> {
    let mut joined = lines[at].clone()?;
    (2..=PIECES_MAX.min(lines.len() - at)).find_map(|blocks| {
        joined.push(' ');
        joined.push_str(lines[at + blocks - 1].as_ref()?);
        let title = Called::new(&joined);
        // The pieces may part a word, but the outline may lack the number.
        let number = number_of(&joined).filter(|_| number_of(&entry.title).is_none()).unwrap_or_default();
        let heading = || Block::Paragraph(Paragraph::heading(format!("{number}{}", entry.title.trim()), entry.level));
        title.is(&entry.called).then(|| Found { at, blocks, headings: 1, instead: vec![heading()] })
    })
}

/// A paragraph that begins with the title of the last of these entries, or with those of some before it and then that.
fn together(at: usize, paragraph: &Paragraph, entries: &[Entry]) -> Option<Found> {
    let opening: String =
        paragraph.content.iter().flat_map(|part| text(part).chars()).take(OPENING_CHARS_MAX).collect();
    let (first, ends) = (0..entries.len()).find_map(|first| Some((first, ends(&opening, &entries[first..])?)))?;
    let end = ends.last().copied().unwrap_or(0);
    let rest = opening[end..].chars().next();
    // A sentence may begin as a title does, and a heading may be longer than its entry.
    let is_new = rest.is_none_or(|c| !c.is_lowercase());
    let is_numbered = entries[first].called.begins_numbered(&opening).is_some();
    let begins = std::iter::once(&0).chain(&ends);
    let heading = |((entry, begin), end): ((&Entry, &usize), &usize)| {
        Block::Paragraph(Paragraph::heading(opening[*begin..*end].trim(), entry.level))
    };
    let mut instead: Vec<Block> = entries[first..].iter().zip(begins).zip(&ends).map(heading).collect();
    let mut paragraph = paragraph.clone();
    if rest.is_none() || (is_new && (paragraph.is_heading() || is_numbered)) {
        cut_off(&mut paragraph, end);
    } else if paragraph.is_heading() && ends.len() == 1 {
        paragraph.style.heading_level = Some(entries[first].level);
        instead.clear();
    }
    if !paragraph.content.is_empty() {
        instead.push(Block::Paragraph(paragraph));
    }
    Some(Found { at, blocks: 1, headings: ends.len(), instead })
}

/// Where each of these titles ends in a text that begins with them, in bytes.
fn ends(text: &str, entries: &[Entry]) -> Option<Vec<usize>> {
    let mut end = 0;
    let each = entries.iter().map(|entry| {
        end += entry.called.begins(&text[end..])?;
        Some(end)
    });
    each.collect()
}

/// Leaves so many bytes of a paragraph's text out at its beginning.
fn cut_off(paragraph: &mut Paragraph, bytes: usize) {
    let mut left = bytes;
    paragraph.content.retain_mut(|part| {
        let cut = left.min(text(part).len());
        left -= cut;
        match part {
            InlineContent::Text(run) => run.text.replace_range(..cut, ""),
            InlineContent::Link { text, .. } => text.replace_range(..cut, ""),
            InlineContent::LineBreak => return cut == 0,
            InlineContent::Image { .. } => return true,
        }
        cut == 0 || !text(part).is_empty()
    });
}

fn text(part: &InlineContent) -> &str {
    match part {
        InlineContent::Text(run) => &run.text,
        InlineContent::LineBreak => "\n",
        InlineContent::Link { text, .. } => text,
        InlineContent::Image { .. } => "",
    }
}
