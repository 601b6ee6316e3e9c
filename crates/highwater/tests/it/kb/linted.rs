//! What is wrong in a base, as a person is told of it, and what they do about it.

use std::fs;

use serde_json::Value;

use super::{Desk, told};
use crate::rig::Ended;

impl Desk {
    fn lint(&self, more: &[&str]) -> Ended {
        self.0.run(&[&["kb", "lint", "--kb", "notes"], more].concat())
    }

    /// The findings, and the sum of them.
    fn findings(&self, more: &[&str]) -> (i32, Vec<Value>, Value) {
        let ended = self.lint(&[&["--json"], more].concat());
        let mut lines: Vec<Value> = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {ended:?}")))
            .collect();
        let sum = lines.pop().unwrap();
        (ended.code, lines, sum)
    }

    fn status(&self) -> Value {
        self.0.ok(&["kb", "status", "--kb", "notes", "--json"]).json()
    }

    fn append(&self, path: &str, text: &str) {
        let was = fs::read_to_string(self.0.path(path)).unwrap_or_default();
        self.0.write(path, &(was + text));
    }
}

#[test]
fn a_base_of_documents_of_every_format_has_no_fault() {
    let desk = Desk::full();
    desk.ended(&[]);
    for more in [&[][..], &["--verify"]] {
        let ended = desk.lint(more);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let (code, findings, sum) = desk.findings(&[]);
    assert_eq!((code, &sum["faults"], &sum["documents"]), (0, &0.into(), &27.into()), "{sum}");
    assert!(findings.iter().all(|finding| finding["fault"] == false), "{findings:?}");
    // A look leaves nothing behind.
    assert_eq!(desk.status()["generation"]["op"], "add");
}

#[test]
fn faults_are_named_with_their_lines_mended_by_one_generation_and_taken_back() {
    let desk = Desk::full();
    desk.ended(&[]);
    fs::create_dir_all(desk.0.path("notes/wiki/explorations")).unwrap();
    let mine = "---\ntype: exploration\n---\n\nSee [[Tidal Ranges]] and [[no such page|that]].\n";
    desk.0.write("notes/wiki/explorations/mine.md", mine);
    desk.append("notes/wiki/concepts/tidal-range.md", "\nMine: [[nowhere]].\n");
    desk.0.write("notes/raw/dropped.md", "# Dropped\n");
    let ended = desk.lint(&[]);
    assert_eq!(ended.code, 4, "{ended:?}");
    for line in [
        "wiki/explorations/mine.md:5: broken-link: [[Tidal Ranges]] leads nowhere\n    fix: it is made to lead to concepts/tidal-range\n",
        "wiki/explorations/mine.md:5: broken-link: [[no such page|that]] leads nowhere\n    fix: it is made the words that it reads as\n",
        "raw/dropped.md: raw-without-document: no document was given as this file\n",
        "wiki/explorations/mine.md: note foreign: it is no part of the base: a person made it\n",
        "wiki/concepts/tidal-range.md: note edited: a person edited it\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
    assert!(ended.stderr.contains("`highwater kb lint --fix --kb notes` mends what is marked `fix`"), "{ended:?}");
    let (_, _, sum) = desk.findings(&[]);
    assert_eq!((&sum["counts"]["broken-link"], &sum["mended"]), (&3.into(), &0.into()), "{sum}");

    let before = desk.shown();
    let (code, findings, sum) = desk.findings(&["--fix", "--report"]);
    assert_eq!((code, &sum["mended"], &sum["counts"]["broken-link"]), (4, &3.into(), &Value::Null), "{sum}");
    assert_eq!(findings.iter().filter(|finding| finding["mended"] == true).count(), 3);
    let shown = desk.shown();
    let text = |path: &str| String::from_utf8(shown[path].clone()).unwrap();
    assert!(text("wiki/explorations/mine.md").contains("See [[concepts/tidal-range|Tidal Ranges]] and that."));
    assert!(text("wiki/concepts/tidal-range.md").ends_with("Mine: nowhere.\n"));
    let report = sum["report"].as_str().unwrap().to_owned();
    assert!(text(&report).contains("raw/dropped.md"), "{}", text(&report));
    assert!(desk.lint(&["--fix"]).stdout.contains("1 fault"));
    assert_eq!(desk.status()["generation"]["op"], "lint");

    desk.0.ok(&["kb", "undo", "--kb", "notes"]);
    assert_eq!(desk.shown().into_iter().filter(|(path, _)| path != "wiki/log.md").collect::<Vec<_>>(), {
        before.into_iter().filter(|(path, _)| path != "wiki/log.md").collect::<Vec<_>>()
    });

    // What lay in raw/ is a document once it is added, and then there is no fault left.
    desk.lint(&["--fix"]);
    desk.0.ok(&["kb", "add", "notes/raw/dropped.md", "--kb", "notes"]);
    let (code, _, sum) = desk.findings(&[]);
    assert_eq!((code, &sum["faults"]), (0, &0.into()), "{sum}");
}

/// Every kind of finding that can be planted, but for a generation that does not stand in the wiki; what changes while it is looked is
/// told by [`highwater_kb::lint::Kind::Moved`] and planted by nobody.
const KINDS: [&str; 16] = [
    "broken-link",
    "conflict",
    "document-without-raw",
    "document-without-page",
    "raw-without-document",
    "front-matter",
    "unknown-type",
    "object-missing",
    "object-damaged",
    "ambiguous-link",
    "near-duplicate",
    "orphan",
    "edited",
    "deleted",
    "foreign",
    "raw-kept",
];

/// One of each.
fn plant(desk: &Desk) {
    let gone = |path: &str| fs::remove_file(desk.0.path(path)).unwrap();
    let object = |path: &str| {
        let bytes = fs::read(desk.0.path(path)).unwrap();
        format!("notes/.highwater/objects/{}", highwater_kb::ContentId::of(&bytes))
    };
    // Two pages of nearly the same name, by the one way in.
    desk.0.write("in/twin.md", "# Twin\n\nThe tidal-ranges. The Tidal Ranges. Tidal ranges of the Tidal Ranges.\n");
    // A conflict: an edit, and a change of the same lines.
    desk.0.write("notes/wiki/summaries/report-04.md", "mine\n");
    desk.0.write("in/report-04.md", "# Report 4\n\nThe gauge was taken down.\n");
    desk.ended(&[]);
    desk.0.ok(&["kb", "remove", "report-08", "--keep-raw", "--kb", "notes"]);
    twin(desk);

    fs::create_dir_all(desk.0.path("notes/wiki/explorations")).unwrap();
    let links = "See [[Tidal Ranges of]], [[report-03]] and [[no such page|that]].\n";
    desk.0.write("notes/wiki/explorations/mine.md", &format!("---\ntype: exploration\n---\n\n{links}"));
    desk.0.write("notes/wiki/explorations/odd.md", "---\ntype: novel\n---\n\n[[mine]]\n");
    desk.0.write("notes/wiki/concepts/none.md", "# None\n");
    desk.0.write("notes/raw/dropped.md", "# Dropped\n");
    desk.append("notes/wiki/summaries/report-10.md", "\nMy own remark.\n");
    gone("notes/wiki/summaries/report-11.md");
    // Bytes that the file has still, bytes that rot, a file of which nothing but the bytes is left.
    gone(&object("notes/raw/report-06.md"));
    desk.0.write(&object("notes/raw/report-07.md"), "rotten");
    gone("notes/raw/report-05.md");
    let rows = rusqlite::Connection::open(desk.0.path("notes/.highwater/kb.db")).unwrap();
    assert_eq!(rows.execute("DELETE FROM file WHERE path = 'wiki/summaries/report-12.md'", []).unwrap(), 1);
}

/// A concept beside `tidal-range` that says nearly the same.
fn twin(desk: &Desk) {
    use highwater_kb::{Base, Directory, Home};
    let home: std::sync::Arc<dyn Home> = std::sync::Arc::new(Directory::open(&desk.0.path("notes")).unwrap());
    let held = home.try_lock().unwrap().expect("nobody else is here");
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut base = Base::open(home, now).unwrap();
    let name = highwater_kb::DocName::try_from("twin".to_owned()).unwrap();
    let document = base.document(&name).unwrap().expect("it was added");
    let text = base.read(&document.full_text).unwrap().expect("it has a text");
    let compiled = highwater_kb::compile::Compiled {
        title: "Twin".to_owned(),
        doc_type: "notes".to_owned(),
        description: "A twin.".to_owned(),
        summary: "A twin.".to_owned(),
        tree: Vec::new(),
        contributions: ["concepts/tidal-ranges", "concepts/tidal-range"]
            .map(|page| highwater_kb::compile::Contribution {
                page: page.parse().unwrap(),
                title: page.trim_start_matches("concepts/").replace('-', " "),
                description: "A range.".to_owned(),
                body: "- The twin says so.".to_owned(),
                alone: true,
            })
            .into(),
    };
    let ready = highwater_kb::fold::Ready {
        name: &name,
        document: &document,
        text: std::str::from_utf8(&text).unwrap(),
        images: &[],
        compiled: &compiled,
    };
    base.commit(&held, now, "add", "twin", |draft| highwater_kb::fold::fold(draft, &ready)).unwrap();
}

#[test]
fn a_fault_of_each_kind_is_found_and_what_is_marked_is_mended_and_nothing_else() {
    let desk = Desk::full();
    desk.ended(&[]);
    plant(&desk);
    insta::assert_snapshot!("each_kind", told(&desk.0, &["kb", "lint", "--verify", "--kb", "notes"]));
    let (code, findings, sum) = desk.findings(&["--verify"]);
    let counts = sum["counts"].as_object().unwrap();
    assert_eq!(counts.keys().collect::<Vec<_>>(), KINDS);
    let total = |fault: bool| findings.iter().filter(|finding| finding["fault"] == fault).count();
    assert_eq!((code, &sum["faults"], &sum["notes"]), (4, &total(true).into(), &total(false).into()));
    // Without a look at the bytes, what rots is not seen, and everything else is.
    let (_, _, quick) = desk.findings(&[]);
    let mut but_rot = counts.clone();
    but_rot.remove("object-damaged");
    assert_eq!(quick["counts"], Value::Object(but_rot));

    insta::assert_snapshot!("each_kind_mended", told(&desk.0, &["kb", "lint", "--verify", "--fix", "--kb", "notes"]));
    let (_, left, _) = desk.findings(&["--verify"]);
    assert!(left.iter().all(|finding| finding["fix"] == false), "{left:?}");
    let key =
        |finding: &&Value| (finding["kind"].to_string(), finding["file"].to_string(), finding["what"].to_string());
    let unmarked: Vec<_> = findings.iter().filter(|finding| finding["fix"] == false).map(|it| key(&it)).collect();
    let left: Vec<_> = left.iter().map(|it| key(&it)).collect();
    for finding in &unmarked {
        assert!(left.contains(finding), "{finding:?} is not what was to be mended");
    }
    // A mended page is not a page of which nothing is wrong: who looks again finds no more than before.
    assert_eq!(left.len(), unmarked.len(), "{left:#?}");
}

#[test]
fn a_link_to_what_went_is_not_made_to_lead_to_the_page_that_it_stands_on() {
    let desk = Desk::new();
    desk.0.write("tide.md", "# Tides\n\nThe Bay of Fundy has the largest tidal range.\n");
    desk.0.ok(&["kb", "add", "tide.md", "--kb", "notes"]);
    let path = "notes/wiki/summaries/tide.md";
    let summary = desk.0.read(path);
    assert!(summary.contains("[[sources/tide"), "{summary}");
    desk.0.write(path, &format!("{summary}\nMine.\n"));
    desk.0.ok(&["kb", "remove", "tide", "--kb", "notes"]);
    desk.lint(&["--fix"]);
    let mended = desk.0.read(path);
    assert!(!mended.contains("[[summaries/tide") && mended.contains("Mine."), "{mended}");
}

#[test]
fn what_is_told_to_be_typed_works_from_where_the_person_stands() {
    let desk = Desk::new();
    desk.0.write("notes/raw/one.md", "# One\n\nThe moon pulls.\n");
    desk.0.write("notes/raw/two.md", "# Two\n\nShips come in.\n");
    let inside = desk.0.path("notes/wiki");
    let look_inside = desk.0.command(&["kb", "lint", "--json"]).current_dir(&inside).output().unwrap();
    let outside = desk.lint(&["--json"]).stdout;
    let command = |lines: &str, file: &str| {
        let findings = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let finding = findings.into_iter().find(|finding| finding["file"] == file).unwrap();
        finding["mends"].as_str().unwrap().split('`').nth(1).unwrap().to_owned()
    };
    let typed = command(&outside, "raw/one.md");
    assert!(typed.ends_with("/notes/raw/one.md --kb notes"), "{typed}");
    let added = desk.0.shell(&typed).output().unwrap();
    assert!(added.status.success(), "{typed}: {added:?}");
    let typed = command(str::from_utf8(&look_inside.stdout).unwrap(), "raw/two.md");
    let added = desk.0.shell(&typed).current_dir(&inside).output().unwrap();
    assert!(added.status.success(), "{typed}: {added:?}");
    let (code, findings, _) = desk.findings(&[]);
    assert_eq!((code, findings), (0, Vec::new()));
}

#[test]
fn a_generation_that_does_not_stand_in_the_wiki_is_finished() {
    let desk = Desk::full();
    desk.ended(&[]);
    let (wiki, aside) = (desk.0.path("notes/wiki/concepts"), desk.0.path("concepts"));
    fs::rename(&wiki, &aside).unwrap();
    std::os::unix::fs::symlink(desk.0.path("in"), &wiki).unwrap();
    let text = fs::read_to_string(desk.0.path("in/report-03.md")).unwrap();
    desk.0.write("in/new.md", &text.replace("Report 3", "New").replace("Gauge 3", "Gauge 99"));
    let refused = desk.add(&[]);
    assert!(refused.code == 1 && refused.stderr.contains("HW-KB-022"), "{refused:?}");
    fs::remove_file(&wiki).unwrap();
    fs::rename(&aside, &wiki).unwrap();
    let (code, _, sum) = desk.findings(&[]);
    assert_eq!((code, &sum["counts"]), (4, &serde_json::json!({ "unapplied": 1 })), "{sum}");
    let (code, _, sum) = desk.findings(&["--fix"]);
    assert_eq!((code, &sum["mended"], &sum["faults"]), (0, &1.into(), &0.into()), "{sum}");
    assert!(desk.shown().contains_key("wiki/summaries/new.md"));
}

#[test]
fn what_lint_is_not_asked_for_properly_is_refused_and_changes_nothing() {
    let desk = Desk::full();
    desk.ended(&[]);
    desk.append("notes/wiki/concepts/tidal-range.md", "\nMine: [[nowhere]].\n");
    let before = desk.shown();
    let mut all = String::new();
    for args in [
        &["kb", "lint", "--kb", "nowhere"][..],
        &["kb", "lint", "--kb", "in", "--fix"],
        &["kb", "lint", "--kb", "notes", "--fix=all"],
        &["kb", "lint", "--kb", "notes", "--repair"],
        &["kb", "lint", "concepts/tidal-range", "--kb", "notes"],
    ] {
        let ended = desk.0.run(args);
        assert_eq!(ended.code, 2, "{ended:?}");
        all.push_str(&format!("$ {}\n{}\n", args.join(" "), told(&desk.0, args)));
    }
    insta::assert_snapshot!("lint_refused", all);
    assert_eq!(desk.shown(), before);
}

#[test]
fn a_status_says_where_a_base_stands() {
    let desk = Desk::full();
    desk.ended(&[]);
    let status = desk.status();
    for (name, expected) in [("documents", 27), ("review", 2), ("conflicts", 0), ("edited", 0), ("deleted", 0)] {
        assert_eq!(status[name], expected, "{name} of {status}");
    }
    assert!(status["applied"] == true && status["raw_bytes"].as_u64() > Some(1000), "{status}");
    let ended = desk.0.ok(&["kb", "status", "--kb", "notes"]);
    let job = status["review_jobs"][0].as_str().unwrap();
    assert!(
        ended.stdout.contains("27, ") && ended.stdout.contains(&format!("items {job} --outcome review")),
        "{ended:?}"
    );
    // The command that it names lists them.
    let ledger = desk.0.path("notes/.highwater-state/ledger.db");
    let listed = desk.0.ok(&["--ledger", ledger.to_str().unwrap(), "items", job, "--outcome", "review", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 2);
    // A job that takes in nothing until a person re-arms it is told, by the command that does.
    assert_eq!(status["halted"], serde_json::json!([]));
    desk.0.ok(&["--ledger", ledger.to_str().unwrap(), "halt", job, "--why", "the scanner is broken"]);
    assert_eq!(desk.status()["halted"], serde_json::json!([{ "job": job, "why": "the scanner is broken" }]));
    let ended = desk.0.ok(&["kb", "status", "--kb", "notes"]);
    assert!(ended.stdout.contains("the scanner is broken"), "{ended:?}");
    assert!(ended.stdout.contains(&format!("rearm {job} --why")), "{ended:?}");
    // A base to which nothing was added by command has no ledger, and is not given one.
    let bare = Desk::new();
    assert_eq!(bare.status()["review"], 0);
    assert!(!bare.0.path("notes/.highwater-state").exists());
}
