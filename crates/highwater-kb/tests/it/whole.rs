//! This project's own documents, from their text to the wiki: what the compiler says and what pages show, together.

use std::path::Path;

use highwater_kb::compile::{Builtin, Source};
use highwater_kb::convert::Converted;
use highwater_kb::page::front::{Found, Front};
use highwater_kb::{DocName, Snapshot};
use highwater_testkit::sim_fs::SimFs;

use crate::fold::broken;
use crate::home::Simulated;
use crate::library::{Library, Paper};

/// How many documents are enough.
const DOCUMENTS_MAX: usize = 24;

fn papers() -> Vec<Paper> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions");
    let mut paths: Vec<_> = std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let compiled = paths.iter().take(DOCUMENTS_MAX).map(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let converted = Converted { markdown: std::fs::read_to_string(path).unwrap(), ..Converted::default() };
        let name = DocName::of_stem(stem);
        let tree = highwater_kb::tree::build(&converted);
        let compiled = Builtin.compiled(Source { name: &name, converted: &converted, tree: &tree });
        Paper { compiled, ..Paper::new(stem, &converted.markdown, &[]) }
    });
    compiled.collect()
}

#[test]
fn what_is_compiled_becomes_a_wiki_in_which_every_link_leads_somewhere() {
    let papers = papers();
    let home = Simulated::home(&SimFs::new().with_atomic_renames());
    let mut library = Library::new(home.clone());
    papers.chunks(5).for_each(|some| library.add(&some.iter().collect::<Vec<_>>()));
    let files = library.files();
    assert_eq!(broken(&files), Vec::<String>::new());
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".md")) {
        assert!(matches!(Front::read(text), Found::Front(Front { kind: Some(_), .. })), "{path}: {text}");
    }
    for paper in &papers {
        let line = format!("[[summaries/{}|", paper.name);
        assert!(files["wiki/index.md"].contains(&line), "{line}");
    }
    let shared = files
        .iter()
        .filter(|(path, text)| path.starts_with("wiki/concepts/") && text.matches("\n## [[summaries/").count() > 1);
    assert!(shared.count() > 3, "documents of one project share concepts");
    let snapshot = Snapshot::open(home).unwrap();
    assert!(!snapshot.search("power loss", 5).unwrap().is_empty());
    for paper in &papers {
        library.remove(paper.name.as_str());
    }
    let left: Vec<String> = library.files().into_keys().collect();
    assert_eq!(left, ["wiki/AGENTS.md", "wiki/index.md"]);
}
