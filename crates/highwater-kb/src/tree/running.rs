//! Running heads among headings: what stands on many pages. Owns which they are, and that each is left out but where it begins.
//!
//! They may differ in numbers: the page's, or that of a chapter, which comes back on all of its pages. Sections that are called alike
//! but for numbers of their own, as the versions of a list of changes are, are none.

use std::collections::{BTreeMap, BTreeSet};

use super::headings::Heading;
use super::page_of;

/// Headings that come as often …
const RUNNING_MIN: usize = 4;
/// … and on one of so many pages may be a running head.
const RUNNING_PAGES_PER: usize = 4;
/// How many numbers of a heading are looked at.
const NUMBERS_MAX: usize = 8;

/// Leaves running heads out, but the first of each.
pub(super) fn left_out(headings: &mut Vec<Heading>, pages: &[u32]) {
    if pages.is_empty() {
        return;
    }
    let mut alike: BTreeMap<String, Alike> = BTreeMap::new();
    for heading in headings.iter() {
        alike.entry(numberless(&heading.title)).or_default().count(heading, pages);
    }
    let heads: BTreeMap<String, Head> =
        alike.into_iter().filter_map(|(name, alike)| Some((name, alike.head(pages.len())?))).collect();
    let mut met = BTreeSet::new();
    headings.retain(|heading| {
        let name = numberless(&heading.title);
        let head = match heads.get(&name) {
            None => return true,
            Some(Head::OfPages) => name,
            Some(Head::OfParts) => heading.title.clone(),
        };
        met.insert(head) && !is_page(&heading.title)
    });
}

enum Head {
    /// It has the page's number.
    OfPages,
    /// It is that of the whole, or has the number of a part, on each page of it.
    OfParts,
}

/// Headings that differ in numbers at most.
#[derive(Default)]
struct Alike {
    count: usize,
    titles: BTreeSet<String>,
    /// How many have a number that is as far from their page's.
    offsets: BTreeMap<i64, usize>,
}

impl Alike {
    fn count(&mut self, heading: &Heading, pages: &[u32]) {
        self.count += 1;
        self.titles.insert(heading.title.clone());
        let page = i64::from(page_of(pages, heading.line).unwrap_or(0));
        let numbers =
            heading.title.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u32>().ok());
        let offsets: BTreeSet<i64> = numbers.take(NUMBERS_MAX).map(|number| i64::from(number) - page).collect();
        for offset in offsets {
            *self.offsets.entry(offset).or_default() += 1;
        }
    }

    fn head(&self, pages: usize) -> Option<Head> {
        let half = |count: usize| count * 2 >= self.count;
        if self.count < RUNNING_MIN || self.count * RUNNING_PAGES_PER < pages {
            None
        } else if half(self.count - self.titles.len()) {
            Some(Head::OfParts)
        } else {
            self.offsets.values().any(|count| half(*count)).then_some(Head::OfPages)
        }
    }
}

fn numberless(title: &str) -> String {
    title.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// `Page 3`.
fn is_page(title: &str) -> bool {
    let word: String = title.chars().filter(|c| c.is_alphabetic()).collect();
    matches!(word.to_lowercase().as_str(), "page" | "pageof" | "seite" | "seitevon")
}
