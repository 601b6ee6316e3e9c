//! What stands at the top or at the bottom of most pages of a PDF: the running head, the page's number. Owns that it is told once.

use std::collections::HashMap;

/// On how many pages a line stands at the least that is a running head.
const PAGES_MIN: usize = 4;
/// And on one page of so many.
const ONE_PAGE_IN: usize = 4;
/// The longest running head, in bytes.
const LINE_BYTES_MAX: usize = 160;
/// How many lines at each end of a page may be running heads.
const LINES_MAX: usize = 2;

/// Leaves running heads out of all pages but the first that has each; headings and what is part of something larger stay.
pub(super) fn left_out(pages: &mut [String]) {
    for end in [End::Top, End::Bottom] {
        for _ in 0..LINES_MAX {
            let mut count: HashMap<String, usize> = HashMap::new();
            for page in pages.iter() {
                if let Some((line, _)) = end.of(page) {
                    *count.entry(line).or_default() += 1;
                }
            }
            let enough = PAGES_MIN.max(pages.len() / ONE_PAGE_IN);
            count.retain(|_, pages| *pages >= enough);
            if count.is_empty() {
                break;
            }
            for page in pages.iter_mut() {
                let Some((line, rest)) = end.of(page) else { continue };
                match count.get_mut(&line) {
                    // The first keeps it.
                    Some(seen) if *seen > 0 => *seen = 0,
                    Some(_) => *page = rest.to_owned(),
                    None => {}
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum End {
    Top,
    Bottom,
}

impl End {
    /// The block of one line at this end of a page, without what differs from page to page, and the page without it.
    fn of(self, page: &str) -> Option<(String, &str)> {
        let page = page.trim();
        let (block, rest) = match self {
            Self::Top => page.split_once("\n\n").unwrap_or((page, "")),
            Self::Bottom => page.rsplit_once("\n\n").map_or((page, ""), |(rest, block)| (block, rest)),
        };
        let markup = block.starts_with(['#', '|', '-', '>', '`', '!', '[']);
        if block.is_empty() || block.contains('\n') || block.len() > LINE_BYTES_MAX || markup {
            return None;
        }
        let roman = block.len() < 8 && block.chars().all(|c| "ivxlcdm".contains(c));
        let same = if roman { String::new() } else { block.chars().filter(|c| !c.is_ascii_digit()).collect() };
        Some((same.trim().to_owned(), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_head_is_told_once_and_nothing_else_is_left_out() {
        let mut pages: Vec<String> = (1..=6)
            .map(|n| format!("The Guide\n\n# Part {n}\n\nText {} here.\n\nShared line\n\n{n}", "x".repeat(n)))
            .collect();
        pages.push("No head.\n\nEnd.".to_owned());
        left_out(&mut pages);
        assert_eq!(pages[0], "The Guide\n\n# Part 1\n\nText x here.\n\nShared line\n\n1");
        // The first page still ended with its number when the others ended with this.
        assert_eq!(pages[1], "# Part 2\n\nText xx here.\n\nShared line");
        assert_eq!(pages[2], "# Part 3\n\nText xxx here.");
        assert_eq!(pages[6], "No head.\n\nEnd.");
        let mut few: Vec<String> = (1..=3).map(|n| format!("Head\n\nText {n}")).collect();
        let before = few.clone();
        left_out(&mut few);
        assert_eq!(few, before);
    }
}
