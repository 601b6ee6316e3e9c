//! Any text compiles within its limits, twice to the same, and nothing of it becomes structure of a page.

use highwater_kb::DocName;
use highwater_kb::compile::{
    Builtin, CONCEPTS_ALONE_MAX, CONCEPTS_MAX, Compiled, DESCRIPTION_CHARS_MAX, ENTITIES_ALONE_MAX, ENTITIES_MAX,
    Source,
};
use highwater_kb::convert::Converted;
use highwater_kb::page::PageKind;
use highwater_kb::tree;
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};

/// The most bytes of a summary, whatever the document.
const SUMMARY_BYTES_MAX: usize = 32 * 1024;
/// The most bytes of what is told of one thing.
const BODY_BYTES_MAX: usize = 16 * 1024;

fn hold(markdown: String, page_lines: Vec<u32>) {
    let converted = Converted { markdown, page_lines, ..Converted::default() };
    let (name, tree) = (DocName::of_stem("hostile"), tree::build(&converted));
    let source = Source { name: &name, converted: &converted, tree: &tree };
    let compiled = Builtin.compiled(source);
    assert_eq!(Builtin.compiled(source), compiled, "the same text is the same answer");
    within_limits(&compiled);
}

fn within_limits(compiled: &Compiled) {
    line(&compiled.title, 170);
    line(&compiled.description, DESCRIPTION_CHARS_MAX + 1);
    page(&compiled.summary, SUMMARY_BYTES_MAX);
    let of = |kind| compiled.contributions.iter().filter(move |it| it.page.kind() == kind);
    for (kind, most, alone) in
        [(PageKind::Concept, CONCEPTS_MAX, CONCEPTS_ALONE_MAX), (PageKind::Entity, ENTITIES_MAX, ENTITIES_ALONE_MAX)]
    {
        assert!(of(kind).count() <= most);
        assert!(of(kind).filter(|it| it.alone).count() <= alone);
    }
    assert_eq!(of(PageKind::Concept).count() + of(PageKind::Entity).count(), compiled.contributions.len());
    let mut stems: Vec<&str> = compiled.contributions.iter().map(|it| it.page.stem()).collect();
    stems.sort_unstable();
    stems.dedup();
    assert_eq!(stems.len(), compiled.contributions.len(), "one page is contributed to once");
    for it in &compiled.contributions {
        line(&it.title, 90);
        line(&it.description, DESCRIPTION_CHARS_MAX + 1);
        page(&it.body, BODY_BYTES_MAX);
        assert!(it.body.starts_with("- "), "{:?}", it.body);
    }
}

/// One line of plain words.
fn line(text: &str, chars_max: usize) {
    assert!(!text.is_empty() && text.chars().count() <= chars_max, "{text:?}");
    assert!(!text.contains(|c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)), "{text:?}");
    assert!(!text.contains("[[") && !text.contains("]]") && !text.contains("</") && !text.contains("<!"), "{text:?}");
}

/// Markdown in which a document's words are words: paragraphs, items, and what we make strong.
fn page(text: &str, bytes_max: usize) {
    assert!(text.len() <= bytes_max, "{} bytes", text.len());
    assert!(!text.contains("[[") && !text.contains("]]"), "{text}");
    assert!(
        !text.lines().any(|line| line.starts_with('#') || line.starts_with("---") || line.starts_with("===")),
        "{text}"
    );
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_WIKILINKS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_MATH
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut depth = 0;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(Tag::Paragraph | Tag::Strong) | Event::Text(_) | Event::Code(_) | Event::SoftBreak => {}
            Event::Start(Tag::List(None)) => depth += 1,
            Event::Start(Tag::Item) => assert_eq!(depth, 1, "{text}"),
            Event::End(pulldown_cmark::TagEnd::List(_)) => depth -= 1,
            Event::End(_) => {}
            other => panic!("{other:?} in {text}"),
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "The tide gauge", "is", "a", "harbour", "Anna Keller", "of the North Sea", "measures", "World Health Organization (WHO)", "water levels", "must",
            "潮位", "とは", "高さである。", "Der Deich", "ist ein", "Wall.", "4.2 m", "e.g.", "Ships wait outside.", "The tide gauge is a tool.",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "[[x]]", "[a](b)", "<script>", "&lt;b&gt;", "&#91;&#91;x]]", "# ", "---", "***", "`", "```", "| a |", "> ", "1. ", "- ", "\\", "$x$", "^[a]", "%%", "==x==",
            "#tag", "![[e]]", "~~~", "\u{202e}", "\u{0}", "\u{200b}", "e\u{301}\u{301}\u{301}\u{301}", "{{x}}", "://", "a@b.c", "*_*_", "<!--", "]]>", "|", "+ ", ":::", "[^1]: x", "=====", "\\[[", "[\\[", "**", "__",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        2 => prop::sample::select(vec!["\n", "\n\n", ". ", "\n# ", "\n- ", "\n> ", "\n1. ", "\n|a|b|\n|-|-|\n|", "\n    "]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_compiles_within_its_limits(
        words in prop::collection::vec(words(), 0..160),
        repeat in 1usize..6,
        pages in prop::collection::vec(0u32..200, 0..24),
    ) {
        hold(words.join(" ").repeat(repeat), pages);
    }
}

#[test]
fn texts_that_were_made_to_hurt_compile_too() {
    let sentence = "The gauge is a tool that measures the tide of a harbour. ";
    for hurts in [
        ">".repeat(100_000),
        "> ".repeat(100_000) + sentence,
        "- ".repeat(50_000),
        "[".repeat(200_000),
        "*a ".repeat(200_000),
        "![[".repeat(100_000),
        "`".repeat(100_001) + "a",
        ".".repeat(1_000_000),
        "a. ".to_owned() + &"\\)".repeat(500_000),
        "\\.\\)".repeat(200_000),
        "&#41;&#46;".repeat(100_000),
        ". ) ".repeat(200_000),
        "a.b.".repeat(200_000),
        "\u{202e}\u{0}\u{7}".repeat(100_000),
        "e\u{301}".repeat(100_000) + &"\u{301}".repeat(300_000),
        "漢".repeat(300_000),
        "Aa ".repeat(300_000),
        "A. ".repeat(200_000),
        "|a".repeat(50_000) + "\n" + &"|-".repeat(50_000) + "\n" + &"|b".repeat(50_000),
        "| a | b |\n|---|---|\n".to_owned() + &"| 1 | [[x]] |\n".repeat(60_000),
        "# a\n\n".repeat(50_000),
        "\u{1F469}\u{200D}".repeat(100_000),
        "<a>".repeat(100_000),
        "&lt;a&gt; ".repeat(100_000),
        sentence.replace(' ', "\n\n").repeat(5_000),
    ] {
        hold(hurts, Vec::new());
    }
}

#[test]
fn one_line_of_ten_megabytes_compiles() {
    hold("The gauge is a tool that measures the tide of a harbour. ".repeat(180_000), Vec::new());
    hold("x".repeat(10_000_000), vec![0; 400]);
}
