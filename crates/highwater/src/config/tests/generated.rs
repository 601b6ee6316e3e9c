//! Files that are made from the code are the ones that are committed; `UPDATE_GENERATED=1` writes them anew.

use std::fs;
use std::path::Path;

use super::super::catalog::Catalog;
use super::super::reference::reference_markdown;
use super::super::{codes, schema};
use super::{editor_accepts, repository};

fn compare(path: &str, generated: &str) {
    let path = repository().join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&path, generated).expect("a written file");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{} is not what the code makes; UPDATE_GENERATED=1 writes it", path.display());
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    compare("highwater.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_committed_reference_is_the_generated_one() {
    compare("docs/config.md", &reference_markdown());
}

#[test]
fn the_committed_document_of_the_receivers_api_is_the_generated_one() {
    let document = highwater_episodes::receive::openapi(&Default::default());
    compare("docs/openapi.json", &format!("{document:#}\n"));
}

#[test]
fn the_schema_accepts_what_the_examples_say() {
    let quickstart =
        fs::read_to_string(repository().join("examples/quickstart/highwater.toml")).expect("the quickstart");
    assert_eq!(editor_accepts(&quickstart), Some(true));
    let uncommented = uncommented(&quickstart);
    assert_eq!(editor_accepts(&uncommented), Some(true), "{uncommented}");
    let full = "[resource.api]\nlock = \"file:a\"\npace = \"1h 30m\"\njitter = \"0.5%\"\n[job.a]\nkind = \"exec\"\n\
                command = [\"./a\"]\nprefetch-bytes = 5\nresources = [\"api\"]\ntimeout = \"${T}\"\nenv = { A = \"b\" }\n";
    assert_eq!(editor_accepts(full), Some(true));
}

#[test]
fn the_options_that_the_quickstart_comments_out_are_valid() {
    let quickstart =
        fs::read_to_string(repository().join("examples/quickstart/highwater.toml")).expect("the quickstart");
    let mut scene = super::Scene::new(&uncommented(&quickstart));
    scene.environment = super::Environment::from_iter([("HIGHWATER_WEBHOOK", "https://example.org/hook")]);
    let config = scene.config();
    assert_eq!(config.resources.len(), 1);
    assert_eq!(config.notify.len(), 1);
}

/// The text with every `#key = value` and `#[table]` taken in; prose has a space after its `#`.
fn uncommented(toml: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    toml.lines().map(line).collect()
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let directory = repository().join("docs/errors");
    for code in codes::ALL {
        let page = fs::read_to_string(directory.join(format!("{code}.md"))).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}: ")), "docs/errors/{code}.md");
        assert!(page.contains(&format!("[{code}]: ")), "docs/errors/{code}.md shows no message");
    }
    let pages = fs::read_dir(directory).expect("docs/errors").map(|entry| entry.expect("an entry").path());
    for page in pages {
        let stem = page.file_stem().map(Path::new).and_then(Path::to_str).unwrap_or_default().to_owned();
        assert!(!stem.starts_with("HW-CFG-") || codes::ALL.contains(&&*stem), "{}", page.display());
    }
}

#[test]
fn no_kind_takes_a_field_that_every_job_has() {
    let catalog = Catalog::new();
    for (kind, fields) in &catalog.kinds {
        for field in fields {
            let shared = catalog.job.iter().any(|other| other.name == field.name) || field.name == "kind";
            assert!(!shared, "{}: {}", kind.name, field.name);
        }
    }
}
