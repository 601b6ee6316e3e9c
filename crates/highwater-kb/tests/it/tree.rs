//! The tree of a long document: its sections leave nothing out and overlap nowhere, whatever the text.

use highwater_kb::convert::Converted;
use highwater_kb::tree::{self, DEPTH_MAX, SECTIONS_MAX, SUMMARY_CHARS_MAX, Section, TITLE_CHARS_MAX};
use proptest::prelude::*;

const SENTENCE: &str = "The harbour master measures the tide at the gauge beside the northern pier each morning. ";

fn document(markdown: String, page_lines: Vec<u32>) -> Converted {
    Converted { markdown, page_lines, ..Converted::default() }
}

/// A shape that a person sees at once: titles by depth, with lines and pages.
fn drawn(sections: &[Section], depth: usize, to: &mut String) {
    for section in sections {
        let pages = section.pages.map_or(String::new(), |(a, b)| format!(" p{a}-{b}"));
        to.push_str(&format!(
            "{}{} [{}..{}]{pages} {}\n",
            "  ".repeat(depth),
            section.title,
            section.begin_line,
            section.end_line,
            section.summary
        ));
        drawn(&section.children, depth + 1, to);
    }
}

fn drawing(converted: &Converted) -> String {
    let mut drawing = String::new();
    drawn(&tree::build(converted), 0, &mut drawing);
    drawing
}

/// Holds what is promised of every tree.
fn hold(converted: &Converted) {
    let sections = tree::build(converted);
    if !tree::is_long(converted) {
        assert_eq!(sections, []);
        return;
    }
    let lines = u32::try_from(converted.markdown.matches('\n').count()).unwrap()
        + u32::from(!converted.markdown.is_empty() && !converted.markdown.ends_with('\n'));
    let pages = tree::in_order(&converted.page_lines);
    assert!(tree::count(&sections) <= SECTIONS_MAX);
    if lines > 0 {
        assert_eq!((sections[0].begin_line, sections[sections.len() - 1].end_line), (0, lines), "no line is left out");
    }
    level(&sections, &pages, 1);
    assert_eq!(tree::build(converted), sections, "the same text is the same tree");
}

fn level(sections: &[Section], pages: &[u32], depth: usize) {
    assert!(sections.is_empty() || depth <= DEPTH_MAX, "too deep");
    for pair in sections.windows(2) {
        assert_eq!(pair[0].end_line, pair[1].begin_line, "{:?} {:?}", pair[0].title, pair[1].title);
    }
    for section in sections {
        assert!(section.begin_line < section.end_line, "{section:?}");
        assert!(section.title.chars().count() <= TITLE_CHARS_MAX + 1);
        assert!(section.summary.chars().count() <= SUMMARY_CHARS_MAX + 1);
        assert!(!section.title.contains('\n') && !section.summary.contains('\n'));
        let last = section.end_line - 1;
        assert_eq!(section.pages, tree::page_of(pages, section.begin_line).zip(tree::page_of(pages, last)));
        if let (Some(first), Some(end)) = (section.children.first(), section.children.last()) {
            assert!(first.begin_line >= section.begin_line);
            assert_eq!(end.end_line, section.end_line, "children end with their parent");
        }
        level(&section.children, pages, depth + 1);
    }
}

#[test]
fn a_short_document_has_no_tree() {
    assert_eq!(drawing(&document("# A\n\nb\n".into(), vec![0, 1])), "");
}

#[test]
fn the_headings_of_a_book_are_its_tree_with_their_pages() {
    let mut text =
        String::from("# The Book of Tides\n\nThis book explains the tides of the northern coast to sailors.\n\n");
    let mut pages = vec![0];
    for chapter in 1..=4 {
        text.push_str(&format!(
            "## Chapter {chapter}: Waters\n\nChapter {chapter} describes the waters of one coast.\n\n"
        ));
        for part in ["Springs", "Neaps"] {
            text.push_str(&format!("### {part} {chapter}\n\n```\n# no heading\n```\n\n"));
            for _ in 0..3 {
                text.push_str(&format!("{SENTENCE}\n\n"));
                pages.push(u32::try_from(text.lines().count()).unwrap());
            }
        }
    }
    let book = document(text, pages);
    hold(&book);
    insta::assert_snapshot!(drawing(&book));
}

#[test]
fn what_stands_before_the_first_heading_is_in_the_tree_too() {
    let rest = format!("# One\n\n{SENTENCE}\n\n# Two\n\n{SENTENCE}\n");
    for (before, first) in [("\n\n", "One"), ("", "One"), ("Words of it.\n\n", "Beginning")] {
        let text = document(format!("{before}{rest}"), vec![0; 20]);
        hold(&text);
        assert_eq!(tree::build(&text)[0].title, first, "{before:?}");
    }
}

#[test]
fn pages_without_headings_are_windows_of_pages() {
    let mut text = String::new();
    let mut pages = Vec::new();
    for page in 0..47 {
        pages.push(u32::try_from(text.lines().count()).unwrap());
        text.push_str(&format!("# The Harbour Company\n\nPage {page} says that ships of class {page} wait outside. {SENTENCE}\n\n# Page {page}\n\n"));
    }
    let scan = document(text, pages);
    hold(&scan);
    let drawn: Vec<String> = tree::build(&scan).iter().map(|section| section.title.clone()).collect();
    assert_eq!(drawn, ["Pages 1–10", "Pages 11–20", "Pages 21–30", "Pages 31–40", "Pages 41–47"]);
}

#[test]
fn sections_that_differ_in_their_numbers_alone_are_no_running_heads() {
    let mut text = String::from("# Changes\n\nThis chapter says what changed.\n\n");
    let mut pages = vec![0];
    for version in (0..36).rev() {
        text.push_str(&format!("## 22.{} Version 4.{}.{}\n\n{SENTENCE}\n\n", 36 - version, version / 6, version % 6));
        if version % 3 > 0 {
            pages.push(u32::try_from(text.lines().count()).unwrap());
        }
    }
    let changes = document(text, pages);
    hold(&changes);
    let sections = tree::build(&changes);
    assert_eq!(sections.len(), 37, "{sections:#?}");
    assert_eq!(
        (sections[1].title.as_str(), sections[36].title.as_str()),
        ("22.1 Version 4.5.5", "22.36 Version 4.0.0")
    );
}

#[test]
fn a_running_head_that_names_its_chapter_begins_each_chapter_once() {
    let mut text = String::new();
    let mut pages = Vec::new();
    for page in 0..24 {
        pages.push(u32::try_from(text.lines().count()).unwrap());
        text.push_str(&format!("# Chapter {}\n\n{SENTENCE}\n\n# The Harbour {}\n\n", page / 6 + 1, page + 9));
    }
    let book = document(text, pages);
    hold(&book);
    let drawn: Vec<_> = tree::build(&book).into_iter().map(|section| (section.title, section.pages)).collect();
    let chapter = |number: u32, pages| (format!("Chapter {number}"), Some(pages));
    let head = ("The Harbour 9".to_owned(), Some((1, 6)));
    assert_eq!(drawn, [chapter(1, (1, 1)), head, chapter(2, (7, 12)), chapter(3, (13, 18)), chapter(4, (19, 24))]);
}

#[test]
fn a_section_ends_on_the_page_before_one_that_begins_with_the_next() {
    let mut text = format!("# The Tides\n\n{SENTENCE}\n\n");
    let mut pages = vec![0];
    for (chapter, number) in ["One", "Two", "Three", "Four"].into_iter().enumerate() {
        for page in 0..6 {
            pages.push(u32::try_from(text.lines().count()).unwrap());
            if page == 0 {
                text.push_str(&format!("###### CHAPTER\n\n###### {number}\n\n# Waters {chapter}\n\n"));
            }
            text.push_str(&format!("{SENTENCE}\n\n"));
        }
    }
    // What a sentence ends with at the top of a page is not of what follows it.
    pages.push(u32::try_from(text.lines().count()).unwrap());
    text.push_str(&format!("and so it ends.\n\n# Index\n\n{SENTENCE}\n"));
    let book = document(text, pages);
    hold(&book);
    let pages: Vec<_> = tree::build(&book).into_iter().map(|section| (section.title, section.pages.unwrap())).collect();
    let waters = |number: u32, pages| (format!("Waters {number}"), pages);
    let first = ("The Tides".to_owned(), (1, 1));
    let last = ("Index".to_owned(), (26, 26));
    assert_eq!(pages, [first, waters(0, (2, 7)), waters(1, (8, 13)), waters(2, (14, 19)), waters(3, (20, 26)), last]);
}

#[test]
fn a_text_without_pages_and_headings_is_windows_of_lines() {
    let text = format!("{SENTENCE}\n{SENTENCE}\n\n").repeat(400);
    let long = document(text, Vec::new());
    hold(&long);
    insta::assert_snapshot!(drawing(&long));
}

#[test]
fn hundreds_of_entries_side_by_side_are_groups() {
    let text: String =
        (0..400).map(|entry| format!("## Entry {}{entry:03}\n\n{SENTENCE}{SENTENCE}\n\n", 'A')).collect();
    let lexicon = document(text, Vec::new());
    hold(&lexicon);
    let sections = tree::build(&lexicon);
    assert_eq!((sections.len(), sections[0].children.len()), (20, 20));
    assert_eq!(sections[0].title, "Entry A000 – Entry A019");
}

#[test]
fn a_chapter_of_two_hundred_pages_is_divided_by_pages() {
    let mut text = String::from("# One\n\nOne is short and says little.\n\n# Two\n\n");
    let mut pages = vec![0];
    for _ in 0..200 {
        text.push_str(&format!("{SENTENCE}\n\n"));
        pages.push(u32::try_from(text.lines().count()).unwrap());
    }
    let book = document(text, pages);
    hold(&book);
    let sections = tree::build(&book);
    assert_eq!(sections.len(), 2);
    assert_eq!((sections[1].children.len(), sections[1].children[0].title.as_str()), (20, "Pages 1–10"));
}

#[test]
fn more_headings_than_a_tree_may_have_lose_the_deepest() {
    let mut text = String::new();
    for part in 0..30 {
        text.push_str(&format!("# Part {part} of it\n\n{SENTENCE}\n\n"));
        for entry in 0..100 {
            text.push_str(&format!("## Entry {entry} here\n\n{SENTENCE}\n\n"));
        }
    }
    let long = document(text, Vec::new());
    hold(&long);
    assert_eq!(tree::build(&long).iter().filter(|section| section.title.starts_with("Part")).count(), 30);
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(SENTENCE.to_owned()),
        2 => (1usize..7, "[a-z]{0,8}").prop_map(|(level, title)| format!("{} {title}", "#".repeat(level))),
        1 => Just("===".to_owned()),
        1 => Just("```".to_owned()),
        1 => Just("- # item".to_owned()),
        1 => Just(String::new()),
        1 => "[>#*|`~\\-\\[\\]<!0-9. \t]{0,12}",
        1 => "\\PC{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_in_one_section_of_each_level(
        lines in prop::collection::vec(line(), 0..120),
        repeat in 1usize..24,
        ended in any::<bool>(),
        mut pages in prop::collection::vec(0u32..3000, 0..80),
        sorted in any::<bool>(),
    ) {
        let mut text = (lines.join("\n") + "\n").repeat(repeat);
        if !ended { text.pop(); }
        if sorted { pages.sort_unstable(); }
        hold(&document(text, pages));
    }
}

#[test]
fn a_line_of_ten_million_bytes_is_one_section() {
    hold(&document("word ".repeat(2_000_000), Vec::new()));
    hold(&document(">".repeat(100_000) + &"\n\na b c".repeat(9_000), Vec::new()));
    hold(&document("\n".repeat(3_000_000) + &"a b ".repeat(9_000), vec![0; 30]));
}
