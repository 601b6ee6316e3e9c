//! The builtin compiler on ten documents: each is read cold in its snapshot, without the document.

use std::fmt::Write as _;

use highwater_kb::DocName;
use highwater_kb::compile::{Builtin, Compiled, Compiler, Source};
use highwater_kb::convert::Converted;
use highwater_kb::tree;

fn compile(name: &str, converted: &Converted) -> Compiled {
    let (name, tree) = (DocName::of_stem(name), tree::build(converted));
    Builtin.compiled(Source { name: &name, converted, tree: &tree })
}

fn read(compiled: &Compiled) -> String {
    let mut page =
        format!("# {} ({})\n\n{}\n\n{}", compiled.title, compiled.doc_type, compiled.description, compiled.summary);
    for it in &compiled.contributions {
        let alone = if it.alone { " alone" } else { "" };
        let _ = write!(page, "\n=== {} | {}{alone}\n{}\n{}\n", it.page, it.title, it.description, it.body);
    }
    page
}

macro_rules! documents {
    ($($test:ident: $file:literal),* $(,)?) => {$(
        #[test]
        fn $test() {
            let markdown = include_str!(concat!("../texts/", $file, ".md")).to_owned();
            let converted = Converted { markdown, ..Converted::default() };
            let compiled = compile($file, &converted);
            assert_eq!(compile($file, &converted), compiled, "the same text is the same answer");
            insta::assert_snapshot!(read(&compiled));
        }
    )*};
}

documents! {
    a_harbour_manual: "harbour-manual",
    a_lab_protocol: "lab-protocol",
    notes_of_a_meeting: "meeting-notes",
    a_recipe: "recipe",
    the_readme_of_a_tool: "readme-tool",
    a_table_of_stations: "stations",
    a_german_leaflet: "deichordnung",
    a_japanese_guide: "chosekansoku",
    a_contract: "charter-agreement",
    a_paper_with_references: "seagrass-abstract",
}

#[test]
fn the_title_is_taken_from_where_it_can_be_trusted() {
    let title = |markdown: &str, told: Option<&str>| {
        let converted =
            Converted { markdown: markdown.to_owned(), title: told.map(str::to_owned), ..Converted::default() };
        compile("tide-tables_2024", &converted).title
    };
    assert_eq!(title("---\ntitle: \"From the front\"\n---\n# Heading\n", Some("Told")), "From the front");
    assert_eq!(title("# Heading of it\n\nText.\n", Some("Told")), "Heading of it");
    assert_eq!(title("# Introduction\n\nText.\n", Some("Told by the file")), "Told by the file");
    assert_eq!(title("Text.\n", Some("Microsoft Word - report.doc")), "tide tables 2024".replacen('t', "T", 1));
    assert_eq!(title("Text.\n", Some("1. Introduction")), "Tide tables 2024");
    assert_eq!(title("Text.\n", Some("final_v2.pdf")), "Tide tables 2024");
    let paragraph =
        "The gauge is a tool that measures the tide of a harbour, beside the pier and behind the shed of the pilots.";
    assert_eq!(title(&format!("{paragraph}\n\n## Benchmarks\n\nText.\n"), None), "Tide tables 2024");
    assert_eq!(title("Text.\n\n## Deep\n\n# Later\n", None), "Tide tables 2024");
}

#[test]
fn a_page_is_told_where_there_are_pages() {
    let markdown = "# Ice\n\nIce forms at the surface of the sea in winter. Ice is frozen water with little salt.\n\n\
                    Fast ice is ice that is attached to the shore. Ships avoid fast ice in spring.\n";
    let converted = Converted { markdown: markdown.to_owned(), page_lines: vec![0, 4], ..Converted::default() };
    let compiled = compile("ice", &converted);
    assert!(compiled.summary.contains("avoid fast ice in spring. (p. 2)"), "{}", compiled.summary);
}

#[test]
fn a_plain_text_that_is_indented_throughout_is_read() {
    let markdown =
        "    The gauge is a tool that measures the tide of a harbour.\n    It stands beside the pier.\n".to_owned();
    let converted = Converted { markdown, ..Converted::default() };
    assert_eq!(compile("gauge", &converted).description, "The gauge is a tool that measures the tide of a harbour.");
}

#[test]
fn a_text_that_is_cut_off_says_so() {
    let sentence = "The gauge at the pier measures the tide of the harbour. ";
    let converted = Converted { markdown: sentence.repeat(200_000), ..Converted::default() };
    assert!(
        compile("long", &converted).summary.ends_with("Only the first 4 MiB of its text were read for this page.\n")
    );
}

#[test]
fn what_says_nothing_is_compiled_too() {
    for nothing in ["", "\n\n", "---\n", "```\ncode\n```\n", "12\n\n13\n", "![](images/a.png)\n"] {
        let converted = Converted { markdown: nothing.to_owned(), ..Converted::default() };
        let compiled = compile("scan", &converted);
        assert_eq!((compiled.title.as_str(), compiled.contributions.len()), ("Scan", 0), "{nothing:?}");
        assert!(!compiled.description.is_empty());
    }
}

#[test]
fn the_builtin_compiler_names_itself_with_its_version() {
    assert_eq!(Builtin.name(), "builtin/1");
    assert_eq!(compile("a", &Converted::default()).title, "A");
}
