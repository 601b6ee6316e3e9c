//! Pages that are rendered from the rows alone: the index, its shelves, the log, and what tells programs how the base hangs together.
//! Owns their form, and the two markers outside which a page is a person's.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::PageKind;
use super::front::Front;
use super::plain::{line, one_line};

/// Where what is rendered begins.
pub const BEGIN: &str = "<!-- highwater:begin, what is outside these two lines is yours -->";
/// Where it ends.
pub const END: &str = "<!-- highwater:end -->";

/// The kinds that the index lists, with what it calls them.
pub(crate) const LISTED: [(PageKind, &str); 3] =
    [(PageKind::Summary, "Documents"), (PageKind::Concept, "Concepts"), (PageKind::Entity, "Entities")];

/// A page in three: what is before the marked part, that part, and what is after it.
#[must_use]
pub(crate) fn marked(page: &str) -> Option<(&str, &str, &str)> {
    let begin = page.find(BEGIN)? + BEGIN.len();
    let end = begin + page[begin..].find(END)?;
    // With a second pair it is not clear which is meant.
    let twice = page[end + END.len()..].contains(END) || page[begin..end].contains(BEGIN);
    (!twice).then(|| (&page[..begin], &page[begin..end], &page[end..]))
}

fn framed(kind: &str, description: &str, heading: &str, inner: &str) -> String {
    let front = Front { kind: Some(kind.to_owned()), description: Some(description.to_owned()), ..Front::default() };
    format!("{}\n# {}\n\n{BEGIN}\n{}\n{END}\n", front.write(), line(heading), inner.trim_matches('\n'))
}

/// The most lines of a list on one page. Of more than these the index does not say how many exactly: `highwater kb status` does.
pub(crate) const LINES_MAX: usize = 200;

/// The index: how many there are of each kind, and their lists.
pub(crate) fn index(counts: [u64; 3], lists: &[Vec<String>; 3]) -> String {
    let mut inner = String::new();
    let counted = counts.iter().zip(LISTED).map(|(count, (_, heading))| format!("{heading}: {}", roughly(*count)));
    let _ = writeln!(inner, "{}", counted.collect::<Vec<_>>().join(" · "));
    for ((_, heading), list) in LISTED.iter().zip(lists).filter(|(_, list)| !list.is_empty()) {
        let _ = write!(inner, "\n## {heading}\n\n{}\n", list.join("\n"));
    }
    framed("index", "Everything in this base, one line each.", "Index", &inner)
}

/// A count whose words stay as they are while a large base grows by a few: a page that is shared by all is then written seldom.
fn roughly(count: u64) -> String {
    if count <= LINES_MAX as u64 {
        return count.to_string();
    }
    let unit = 10_u64.pow(count.ilog10() - 1);
    format!("at least {}", count / unit * unit)
}

/// A part of a list that is too long for one page.
pub(crate) fn shelf(heading: &str, prefix: &str, list: &[String]) -> String {
    let heading = format!("{heading}: {prefix}");
    framed("index", &one_line(&format!("{heading} …, one line each.")), &heading, &list.join("\n"))
}

/// A part of the log: links to others, then entries, the newest last.
pub(crate) fn log(heading: &str, links: &[String], entries: &[(Timestamp, String, String)]) -> String {
    let mut inner = links.join("\n");
    for (at, op, text) in entries {
        let at = at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string();
        let _ = write!(inner, "\n\n## [{at}] {} | {}", line(op), line(text));
    }
    framed("log", "What was done to this base, in order.", heading, &inner)
}

/// How the base hangs together, for programs that read it and for people.
#[must_use]
pub fn guide() -> String {
    let front = Front {
        kind: Some("guide".to_owned()),
        description: Some("How this knowledge base hangs together, and how to change it.".to_owned()),
        ..Front::default()
    };
    format!("{}\n{}", front.write(), include_str!("guide.md"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_index_and_the_log_are_told_line_by_line() {
        let lists = [vec!["- [[summaries/a|A]]: one".to_owned()], Vec::new(), vec!["- [[entities/b|B]]".to_owned()]];
        insta::assert_snapshot!("index", index([1, 0, 1], &lists));
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        let entries = [
            (at(0), "add".to_owned(), "a.pdf".to_owned()),
            (at(61), "remove".to_owned(), "x\n## y | [[z]]".to_owned()),
        ];
        insta::assert_snapshot!("log", log("Log", &["Earlier: [[log/2026-10-1]]".to_owned()], &entries));
    }

    #[test]
    fn a_large_count_is_told_by_its_two_first_digits() {
        let told = [0, 1, 200, 201, 999, 1_000, 1_099, 1_100, 123_456, u64::MAX].map(roughly);
        let expected =
            ["0", "1", "200", "at least 200", "at least 990", "at least 1000", "at least 1000", "at least 1100"];
        assert_eq!(told[..8], expected);
        assert_eq!(told[8..], ["at least 120000", "at least 18000000000000000000"]);
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_found_between_its_markers(
            items in proptest::collection::vec("[a-zé\\[\\]<>|*`-]{0,20}", 0..5),
            before in "[a-z \n]{0,20}",
            after in "[a-z \n]{0,20}",
        ) {
            let list: Vec<String> = items.iter().map(|item| format!("- {}", line(item))).collect();
            let page = index([list.len() as u64, 0, 0], &[list.clone(), Vec::new(), Vec::new()]);
            let page = format!("{before}{page}{after}");
            let (head, inner, tail) = marked(&page).unwrap();
            let listed: Vec<&str> = inner.lines().filter(|line| line.starts_with("- ")).collect();
            prop_assert_eq!(listed, list);
            prop_assert!(head.starts_with(&before) && tail.ends_with(&after));
        }
    }
}
