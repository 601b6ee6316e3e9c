//! `highwater kb convert`: a document in the process that a conversion really has, within its limits.

mod hostile;
mod paths;

use std::fs;
use std::process::Command;

use highwater_testkit::documents;
use serde_json::{Value, json};

use crate::rig::{Ended, Rig};

/// A place for documents, where what conversions keep for themselves is seen.
struct Desk(Rig);

impl Desk {
    fn new() -> Self {
        let rig = Rig::new("");
        fs::create_dir(rig.path("tmp")).unwrap();
        Self(rig)
    }

    fn with(name: &str, bytes: &[u8]) -> Self {
        let desk = Self::new();
        fs::write(desk.0.path(name), bytes).unwrap();
        desk
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.0.command(&["kb", "convert", "--to", "out"]);
        command.args(args).env("TMPDIR", self.0.path("tmp"));
        command
    }

    fn convert(&self, args: &[&str]) -> Ended {
        self.ended(&mut self.command(args))
    }

    /// Runs it; whatever became of it, it kept nothing for itself.
    fn ended(&self, command: &mut Command) -> Ended {
        let ended = command.output().unwrap().into();
        let kept: Vec<_> = fs::read_dir(self.0.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(kept.is_empty(), "{kept:?}: {ended:?}");
        ended
    }

    /// Runs it on what is refused, which leaves nothing: what is said of it.
    fn refused(&self, args: &[&str]) -> String {
        said(&self.convert(args), self)
    }
}

fn said(ended: &Ended, desk: &Desk) -> String {
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.starts_with("error[HW-KB-001]: "), "{ended:?}");
    assert!(!desk.0.path("out").exists(), "{ended:?}");
    let line = ended.stderr.lines().next().unwrap();
    line.split_once(": ").unwrap().1.split_once(": ").unwrap().1.to_owned()
}

#[test]
fn a_document_becomes_a_directory_with_its_text_its_images_and_what_else_there_is_to_say() {
    let desk = Desk::with("tides.pdf", &documents::pdf());
    let ended = desk.convert(&["tides.pdf"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "PDF as 17 lines, 3 pages, 1 image: out/text.md\n"),
        "{ended:?}"
    );
    let conversion: Value = serde_json::from_str(&desk.0.read("out/conversion.json")).unwrap();
    assert_eq!(conversion["format"], "pdf");
    assert_eq!(conversion["title"], "Tides of the North");
    assert_eq!(conversion["images"], json!(["image-1.png"]));
    let text = desk.0.read("out/text.md");
    let lines: Vec<&str> = text.lines().collect();
    let pages: Vec<&str> =
        conversion["page-lines"].as_array().unwrap().iter().map(|at| lines[at.as_u64().unwrap() as usize]).collect();
    assert_eq!(pages, ["# Tides of the North", "## Computing", "## Printing"]);
    assert!(text.contains("![](images/image-1.png)"), "{text}");
    assert!(fs::read(desk.0.path("out/images/image-1.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn every_format_is_converted_and_says_what_it_is() {
    for (name, bytes, format) in [
        ("a.docx", documents::docx(), "docx"),
        ("a.xlsx", documents::xlsx(), "xlsx"),
        ("a.pptx", documents::pptx(), "pptx"),
        ("a.ods", documents::ods(), "ods"),
        ("a.epub", documents::epub(), "epub"),
        ("a.html", b"<h1>Tides</h1>".to_vec(), "html"),
        ("a.csv", b"a,b\n1,2\n".to_vec(), "csv"),
        ("a.md", b"# Tides\n".to_vec(), "markdown"),
        ("a.txt", b"Tides\n".to_vec(), "text"),
        ("a.json", b"{}1".to_vec(), "data"),
        ("wrong.txt", documents::docx(), "docx"),
    ] {
        let desk = Desk::with(name, &bytes);
        let answer = desk.convert(&["--json", name]).json();
        assert_eq!(answer["format"], format, "{answer}");
        assert_eq!(answer["bytes"], bytes.len());
        assert!(answer["lines"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_directory_that_holds_something_is_left_alone() {
    let desk = Desk::with("a.txt", b"Tides\n");
    fs::create_dir(desk.0.path("out")).unwrap();
    assert_eq!(desk.convert(&["a.txt"]).code, 0, "an empty one is taken");
    let again = desk.convert(&["a.txt"]);
    assert!(again.code == 2 && again.stderr.contains("HW-KB-003") && again.stderr.contains("out"), "{again:?}");
    assert_eq!(desk.0.read("out/text.md"), "Tides\n");
    let file = Desk::with("out", b"mine");
    fs::write(file.0.path("a.txt"), "x").unwrap();
    assert_eq!(file.convert(&["a.txt"]).code, 2);
    assert_eq!(file.0.read("out"), "mine");
}

#[test]
fn images_beside_a_page_come_with_it() {
    let desk =
        Desk::with("page.html", b"<p>Sea <img src=\"img/sea.png\" alt=\"sea\"> <img src=\"../x.png\" alt=\"out\"></p>");
    fs::create_dir(desk.0.path("img")).unwrap();
    fs::write(desk.0.path("img/sea.png"), documents::PNG).unwrap();
    assert_eq!(desk.convert(&["page.html"]).code, 0);
    assert_eq!(desk.0.read("out/text.md"), "Sea ![sea](images/image-1.png) out\n");
    assert_eq!(fs::read(desk.0.path("out/images/image-1.png")).unwrap(), documents::PNG);
}
