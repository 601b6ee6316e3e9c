//! The house: who may know whom, that every error has its page, that every room says what it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(under: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path != root().join("target") && !path.ends_with(".git") {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root().join("crates"), ".rs", &mut found);
    found
}

#[test]
fn each_crate_knows_only_whom_it_may() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("highwater-fs", &[][..]),
        ("highwater-db", &[]),
        ("highwater-engine", &["highwater-fs"]),
        ("highwater-store", &["highwater-engine", "highwater-db"]),
        ("highwater-testkit", &["highwater-engine", "highwater-fs"]),
        ("highwater-episodes", &["highwater-engine", "highwater-fs"]),
        ("highwater-oai", &["highwater-engine", "highwater-db", "highwater-fs"]),
        ("highwater-rollup", &["highwater-engine", "highwater-db"]),
        ("highwater-kb", &["highwater-engine", "highwater-db", "highwater-fs"]),
        (
            "highwater",
            &[
                "highwater-episodes",
                "highwater-oai",
                "highwater-kb",
                "highwater-rollup",
                "highwater-engine",
                "highwater-store",
                "highwater-db",
                "highwater-fs",
            ],
        ),
    ]);
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    for package in &metadata.packages {
        let known = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development && d.name.starts_with("highwater"))
            .map(|d| d.name.as_str());
        let may =
            allowed.get(package.name.as_str()).unwrap_or_else(|| panic!("{} has no place in the house", package.name));
        for other in known {
            assert!(may.contains(&other), "{} may not know {other}", package.name);
        }
    }
}

/// The codes of the form `HW-ABC-001` or `HW-AB-001` in a text.
fn codes(text: &str) -> BTreeSet<String> {
    let code = |at: usize| {
        [6, 5].into_iter().find_map(|dash| {
            let code = text.get(at..at + dash + 4)?;
            let (area, number) = code[3..].split_once('-')?;
            let said = area.len() == dash - 3 && area.bytes().all(|b| b.is_ascii_uppercase());
            (said && number.bytes().all(|b| b.is_ascii_digit())).then_some(code)
        })
    };
    text.match_indices("HW-").filter_map(|(at, _)| code(at)).map(str::to_owned).collect()
}

#[test]
fn every_error_code_has_its_page_and_every_page_its_code() {
    let mut used = BTreeSet::new();
    for path in sources().iter().filter(|p| !p.components().any(|c| c.as_os_str() == "tests")) {
        used.extend(codes(&std::fs::read_to_string(path).unwrap()));
    }
    used.retain(|code| !code.starts_with("HW-TST"));
    let mut pages = Vec::new();
    files(&root().join("docs/errors"), ".md", &mut pages);
    let paged: BTreeSet<_> = pages.iter().map(|p| p.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let without: Vec<_> = used.difference(&paged).collect();
    let unused: Vec<_> = paged.difference(&used).collect();
    assert!(without.is_empty(), "codes without a page in docs/errors: {without:?}");
    assert!(unused.is_empty(), "pages without a code in the sources: {unused:?}");
}

#[test]
fn every_room_says_what_it_owns() {
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not begin with what it owns", path.display());
    }
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    let mut pages = Vec::new();
    files(&root().join("docs"), ".md", &mut pages);
    pages.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            let there = page.parent().unwrap().join(target);
            assert!(there.exists(), "{}: {target} is not there", page.display());
        }
    }
}
