//! Documents that come into a base and leave it.

use std::collections::BTreeMap;

use highwater_kb::page::link::{self, Names, Resolved};
use highwater_testkit::sim_fs::SimFs;
use proptest::prelude::*;

use crate::home::Simulated;
use crate::library::{Library, Paper, Says};

fn library() -> Library {
    Library::new(Simulated::home(&SimFs::new().with_atomic_renames()))
}

/// Every link of the wiki that leads nowhere.
pub(crate) fn broken(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut names = Names::default();
    names.insert("log.md");
    files.keys().filter_map(|path| path.strip_prefix("wiki/")).for_each(|path| names.insert(path));
    let mut broken = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| path.starts_with("wiki/") && path.ends_with(".md")) {
        for link in link::links(text).iter().filter(|link| !link.target.is_empty()) {
            if !matches!(names.resolve(&link.target), Resolved::One(_)) {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    broken
}

fn tides() -> Paper {
    Paper::new(
        "Tides",
        "# Tides\n\nThe moon pulls.\n",
        &[("concepts/tidal-range", false, &[]), ("entities/moon", true, &[])],
    )
    .with_image("1.png", b"png")
    .with_section("Tides", 0, 2)
}

fn harbour() -> Paper {
    Paper::new(
        "Harbour",
        "Ships come in.\n",
        &[("concepts/tidal-range", false, &["entities/moon"]), ("concepts/ship", false, &[])],
    )
}

#[test]
fn a_document_comes_in_with_all_its_pages() {
    let mut library = library();
    library.add(&[&tides()]);
    library.add(&[&harbour()]);
    let files = library.files();
    assert_eq!(broken(&files), Vec::<String>::new());
    let pages: Vec<String> = files.iter().map(|(path, text)| format!("=== {path}\n{text}")).collect();
    insta::assert_snapshot!(pages.join("\n"));
}

#[test]
fn a_page_appears_with_its_second_document_and_the_first_links_it() {
    let mut library = library();
    library.add(&[&tides()]);
    assert_eq!(library.page("wiki/concepts/tidal-range.md"), None);
    let summary = library.page("wiki/summaries/Tides.md").unwrap();
    assert!(summary.contains("- tidal range:") && !summary.contains("[[concepts/"), "{summary}");
    library.add(&[&harbour()]);
    let page = library.page("wiki/concepts/tidal-range.md").unwrap();
    assert!(page.contains("## [[summaries/Tides|The Tides]]") && page.contains("## [[summaries/Harbour|"), "{page}");
    let summary = library.page("wiki/summaries/Tides.md").unwrap();
    assert!(summary.contains("- [[concepts/tidal-range|tidal range]]:"), "{summary}");
    assert!(library.page("wiki/entities/moon.md").unwrap().contains("[[concepts/tidal-range|"), "related");
}

#[test]
fn a_document_that_goes_takes_its_sections_its_files_and_the_links_to_it() {
    let mut library = library();
    library.add(&[&tides(), &harbour()]);
    library.change("query", "kept", |draft| {
        let text = "---\ntype: exploration\n---\n# Q\n\nAs [[summaries/Tides|the tides]] say, [[summaries/Harbour]].\n";
        draft.write(crate::home::file("wiki/explorations/q.md"), text.as_bytes())
    });
    library.remove("Tides");
    let files = library.files();
    assert_eq!(broken(&files), Vec::<String>::new());
    let left: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        left,
        [
            "raw/Harbour.txt",
            "wiki/AGENTS.md",
            "wiki/explorations/q.md",
            "wiki/index.md",
            "wiki/sources/Harbour.md",
            "wiki/summaries/Harbour.md"
        ]
    );
    assert!(files["wiki/explorations/q.md"].contains("As the tides say, [[summaries/Harbour]]."));
    assert!(library.base.document_called("tides").unwrap().is_none());
}

#[test]
fn a_new_version_keeps_its_place_and_leaves_nothing_of_the_old_one() {
    let mut library = library();
    library.add(&[&tides(), &harbour()]);
    let newer = Paper::new("Tides", "Now other.\n", &[("concepts/ship", false, &[])]);
    library.add(&[&newer]);
    let files = library.files();
    assert_eq!(broken(&files), Vec::<String>::new());
    assert!(
        !files.contains_key("wiki/concepts/tidal-range.md") && !files.contains_key("wiki/sources/images/Tides/1.png")
    );
    let ship = &files["wiki/concepts/ship.md"];
    assert!(ship.find("summaries/Tides|").unwrap() < ship.find("summaries/Harbour|").unwrap(), "{ship}");
    assert!(!files.values().any(|text| text.contains("The moon pulls")));
}

#[test]
fn known_content_is_found_whatever_it_is_called() {
    let mut library = library();
    library.add(&[&tides(), &harbour()]);
    let record = library.base.document(&tides().name).unwrap().unwrap();
    assert_eq!(library.base.document_of(record.content).unwrap(), Some(tides().name));
    assert_eq!(library.base.document_called("TIDES").unwrap(), Some(tides().name));
    assert_eq!(library.base.document_from(&record.origin).unwrap(), Some(tides().name));
    let other_case = Paper::new("TIDES", "x", &[]);
    let error = {
        let mut said = None;
        library.change("add", "x", |draft| {
            said = other_case.fold(draft).err();
            Ok(())
        });
        said.unwrap().to_string()
    };
    assert_eq!(error, "a document cannot be called TIDES: Tides is called so");
}

#[test]
fn a_document_whose_bytes_nobody_stored_is_refused_before_anything_is_committed() {
    let mut library = library();
    let mut said = None;
    library.change("add", "x", |draft| {
        said = highwater_kb::fold::fold(draft, &tides().ready()).err();
        Ok(())
    });
    assert!(said.unwrap().to_string().ends_with("is not there"));
    assert_eq!(library.base.document(&tides().name).unwrap(), None);
}

#[test]
fn a_sequence_is_never_given_twice() {
    let mut library = library();
    library.add(&[&tides(), &harbour()]);
    library.remove("Harbour");
    library.add(&[&Paper::new("Third", "x", &[])]);
    let third = library.base.document(&Paper::new("Third", "x", &[]).name).unwrap().unwrap();
    assert_eq!(third.sequence, 3);
}

#[test]
fn going_back_gives_the_pages_of_then() {
    let mut library = library();
    let mut were = vec![library.files()];
    library.add(&[&tides()]);
    were.push(library.files());
    library.add(&[&harbour()]);
    were.push(library.files());
    library.remove("Tides");
    were.push(library.files());
    for back in [2, 3, 1, 4] {
        library.undo(back);
        assert_eq!(library.files(), were[back as usize - 1], "back to {back}");
    }
    // And what is added then is as if nothing had happened.
    library.undo(2);
    library.add(&[&harbour()]);
    assert_eq!(library.files(), were[2]);
    let log = library.page("wiki/log.md").unwrap();
    assert_eq!(log.matches("| back to generation").count(), 5, "{log}");
}

#[test]
fn a_person_keeps_what_is_outside_the_markers_of_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let home = std::sync::Arc::new(highwater_kb::Directory::open(directory.path()).unwrap());
    let mut library = Library::new(home);
    library.add(&[&tides()]);
    let index = directory.path().join("wiki/index.md");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, format!("{}\nMine too.\n", text.replace("# Index", "# My index\n\nMine."))).unwrap();
    library.add(&[&harbour()]);
    let text = std::fs::read_to_string(&index).unwrap();
    for there in ["# My index\n\nMine.", "\nMine too.\n", "summaries/Harbour", "summaries/Tides"] {
        assert!(text.contains(there), "{there}: {text}");
    }
    assert!(!index.with_extension("conflict.md").exists());
}

#[test]
fn a_persons_page_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let home = std::sync::Arc::new(highwater_kb::Directory::open(directory.path()).unwrap());
    let mut library = Library::new(home);
    let theirs = directory.path().join("wiki/entities/moon.md");
    std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    std::fs::write(&theirs, "mine\n").unwrap();
    library.add(&[&tides()]);
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "mine\n");
    assert!(theirs.with_extension("conflict.md").exists());
}

#[test]
fn a_shared_page_tells_of_two_hundred_documents_and_then_counts() {
    let mut library = library();
    let papers: Vec<Paper> =
        (1..=230).map(|n| Paper::new(&format!("paper-{n:03}"), "x", &[("concepts/tides", true, &[])])).collect();
    library.add(&papers.iter().collect::<Vec<_>>());
    let page = library.page("wiki/concepts/tides.md").unwrap();
    assert_eq!(page.matches("\n## [[summaries/").count(), 200);
    assert!(page.contains("At least 20 documents more"), "{page}");
    let files = library.files();
    let index = &files["wiki/index.md"];
    assert!(
        index.contains("Documents: at least 230 · Concepts: 1 ·") && index.contains("[[index/summaries-paper-0]]"),
        "{index}"
    );
    assert_eq!(files["wiki/index/summaries-paper-0.md"].matches("- [[summaries/").count(), 99);
    assert_eq!(broken(&files), Vec::<String>::new());

    // One more is told on its shelf; the page that all share stays as it is.
    library.add(&[&Paper::new("paper-231", "x", &[])]);
    let after = library.files();
    let same = |path: &str| files[path] == after[path];
    assert!(same("wiki/index.md") && !same("wiki/index/summaries-paper-2.md"), "{}", after["wiki/index.md"]);
    library.remove("paper-231");
    for paper in &papers[..60] {
        library.remove(paper.name.as_str());
    }
    let files = library.files();
    assert!(!files.keys().any(|path| path.starts_with("wiki/index/")), "{:?}", files.keys());
    assert_eq!(files["wiki/concepts/tides.md"].matches("\n## [[summaries/").count(), 170);
}

#[test]
fn the_log_is_kept_by_month_in_parts() {
    let mut library = library();
    for n in 1..=410 {
        library.change("note", &format!("n{n}"), |draft| {
            draft.write(crate::home::file("wiki/explorations/n.md"), n.to_string().as_bytes())
        });
    }
    let log = library.page("wiki/log.md").unwrap();
    assert_eq!(log.matches("\n## [").count(), 11, "{log}");
    assert!(log.contains("Earlier: [[log/2026-11-2]]"), "{log}");
    let part = library.page("wiki/log/2026-11-2.md").unwrap();
    assert_eq!(part.matches("\n## [").count(), 200);
    assert!(part.contains("Earlier: [[log/2026-11-1]]") && part.contains("| n200\n"), "{part}");
    let first = library.page("wiki/log/2026-11-1.md").unwrap();
    assert!(first.contains("## [2026-11-21 12:00:00] init | a library\n") && !first.contains("Earlier"), "{first}");
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const PAGES: [&str; 4] = ["concepts/p", "concepts/q", "entities/r", "entities/s"];

/// A document that is added, in one version or another, or removed.
fn act() -> impl Strategy<Value = (&'static str, Option<Paper>)> {
    let says = proptest::collection::vec((0..PAGES.len(), any::<bool>(), proptest::option::of(0..9_usize)), 0..4);
    (0..NAMES.len(), 0..3_u8, says).prop_map(|(name, version, says)| {
        let targets: Vec<String> =
            PAGES.iter().map(ToString::to_string).chain(NAMES.iter().map(|name| format!("summaries/{name}"))).collect();
        let links: Vec<Vec<&str>> =
            says.iter().map(|(_, _, link)| link.iter().map(|link| targets[*link].as_str()).collect()).collect();
        let says: Vec<Says<'_>> =
            says.iter().zip(&links).map(|((page, alone, _), links)| (PAGES[*page], *alone, links.as_slice())).collect();
        let paper = Paper::new(NAMES[name], &format!("Version {version}.\n"), &says);
        (NAMES[name], (version > 0).then_some(paper))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn how_documents_are_grouped_does_not_show(
        acts in proptest::collection::vec(act(), 1..9),
        cuts in proptest::collection::vec(any::<bool>(), 9),
    ) {
        let (mut one_by_one, mut grouped) = (library(), library());
        let mut group = Vec::new();
        let apply = |draft: &mut highwater_kb::Draft<'_>, (name, paper): &(&str, Option<Paper>)| match paper {
            Some(paper) => paper.fold(draft),
            None => highwater_kb::fold::unfold(draft, &highwater_kb::DocName::of_stem(name), false).map(drop),
        };
        for (n, act) in acts.iter().enumerate() {
            one_by_one.change("change", "x", |draft| apply(draft, act));
            group.push(act);
            if cuts[n] || n + 1 == acts.len() {
                grouped.change("change", "x", |draft| group.iter().try_for_each(|act| apply(draft, act)));
                group.clear();
            }
        }
        let files = one_by_one.files();
        prop_assert_eq!(&files, &grouped.files());
        prop_assert_eq!(broken(&files), Vec::<String>::new());
    }
}
