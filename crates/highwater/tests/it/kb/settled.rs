//! Conflicts that a person ends.

use std::fs;

use serde_json::Value;

use super::Desk;
use crate::rig::Ended;

impl Desk {
    /// A base in which two pages are in conflict.
    pub(super) fn in_conflict() -> Self {
        let desk = Self::full();
        desk.ended(&[]);
        for name in ["04", "05"] {
            desk.0.write(&format!("notes/wiki/summaries/report-{name}.md"), "mine\n");
            desk.0.write(&format!("in/report-{name}.md"), &format!("# Report {name}\n\nThe gauge was taken down.\n"));
        }
        let ended = desk.ended(&[]);
        assert_eq!(ended["counts"]["review"], 4, "two conflicts, and two that nobody can read: {ended}");
        desk
    }

    fn resolve(&self, page: &str, side: &str) -> Ended {
        self.0.run(&["kb", "resolve", page, side, "--kb", "notes"])
    }

    pub(super) fn conflicts(&self) -> Value {
        self.0.ok(&["kb", "status", "--kb", "notes", "--json"]).json()["conflicts"].clone()
    }

    fn summary(&self, name: &str) -> String {
        self.0.read(&format!("notes/wiki/summaries/{name}.md"))
    }
}

#[test]
fn a_conflict_ends_with_the_version_that_a_person_chooses() {
    let desk = Desk::in_conflict();
    assert_eq!(desk.conflicts(), 2);
    assert!(desk.summary("report-04.conflict").contains("taken down"));

    let ended = desk.resolve("summaries/report-04", "--mine");
    assert_eq!((ended.code, desk.summary("report-04").as_str()), (0, "mine\n"), "{ended:?}");
    assert!(!desk.0.path("notes/wiki/summaries/report-04.conflict.md").exists());

    let whole = desk.0.path("notes/wiki/summaries/report-05.md");
    let ended = desk.resolve(whole.to_str().unwrap(), "--theirs");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(desk.summary("report-05").contains("taken down"));
    let kept = ended.stdout.split("is kept: ").nth(1).unwrap().trim();
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine\n");
    assert_eq!(desk.conflicts(), 0);

    // What comes next to the page that was given up is no person's matter any more.
    desk.0.write("in/report-05.md", "# Report 05\n\nThe gauge is back.\n");
    let ended = desk.ended(&[]);
    assert_eq!((&ended["counts"]["done"], &ended["counts"]["review"]), (&1.into(), &2.into()), "{ended}");
    assert!(desk.summary("report-05").contains("is back"));
    let log = desk.0.ok(&["kb", "log", "--kb", "notes", "--json"]);
    assert!(log.stdout.contains("\"op\":\"resolve\"") && log.stdout.contains("report-05.md, theirs"), "{log:?}");
}

#[test]
fn a_page_is_named_in_every_way_that_people_name_it() {
    let ways = [
        "[[summaries/report-04]]",
        "wiki/summaries/report-04.md",
        "summaries/report-04.md",
        "[[summaries/report-04|x]]",
        "wiki/summaries/report-04.conflict.md",
    ];
    let desk = Desk::in_conflict();
    for page in ways {
        assert_eq!(desk.resolve(page, "--mine").code, 0, "{page}");
        desk.0.ok(&["kb", "undo", "--kb", "notes"]);
        assert!(desk.0.path("notes/wiki/summaries/report-04.conflict.md").exists(), "{page}");
    }
    let relative = desk.0.run(&["kb", "resolve", "notes/wiki/summaries/report-04.md", "--mine", "--kb", "notes"]);
    assert_eq!(relative.code, 0, "{relative:?}");
}

#[test]
fn where_there_is_no_conflict_those_that_are_open_are_named() {
    let desk = Desk::in_conflict();
    let before = desk.shown();
    let from = desk.0.dir.path().canonicalize().unwrap();
    let mut told = String::new();
    for args in [
        &["summaries/report-06", "--mine"][..],
        &["no such page", "--theirs"],
        &["../../etc/passwd", "--mine"],
        &["summaries/report-04"],
        &["summaries/report-04", "--mine", "--theirs"],
    ] {
        let ended = desk.0.run(&[&["kb", "resolve", "--kb", "notes"], args].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        told.push_str(&format!("{args:?}\n{}{}\n", ended.stdout, ended.stderr));
    }
    insta::assert_snapshot!(told.replace(&*from.to_string_lossy(), "/desk"));
    assert_eq!(desk.shown(), before);
    for page in ["summaries/report-04", "summaries/report-05"] {
        assert_eq!(desk.resolve(page, "--mine").code, 0);
    }
    let ended = desk.resolve("summaries/report-04", "--mine");
    assert!(ended.code == 2 && ended.stderr.contains("nothing: there is no conflict in this base"), "{ended:?}");
}

#[test]
fn a_page_that_a_person_deleted_comes_back() {
    let desk = Desk::full();
    desk.ended(&[]);
    let had = desk.summary("report-07");
    fs::remove_file(desk.0.path("notes/wiki/summaries/report-07.md")).unwrap();
    assert_eq!(desk.resolve("summaries/report-07", "--theirs").code, 0);
    assert_eq!(desk.summary("report-07"), had);
}

#[test]
fn a_document_that_is_called_as_a_version_is_beside_no_other() {
    let desk = Desk::new();
    desk.0.write("in/a.md", "# Tides\n\nThe tide was read at noon.\n");
    desk.ended(&[]);
    // A page of `a` is in conflict, and then such a document comes.
    desk.0.write("notes/wiki/sources/a.md", "mine\n");
    desk.0.write("in/a.md", "# Tides\n\nThe tide was read at dusk.\n");
    assert_eq!(desk.ended(&[])["counts"]["review"], 1);
    desk.0.write("in/a.conflict.md", "# Gauges\n\nThe gauge was taken down.\n");
    assert_eq!(desk.ended(&[])["counts"]["done"], 1);
    assert!(desk.0.path("notes/wiki/summaries/a-conflict.md").exists());
    assert!(desk.0.read("notes/wiki/sources/a.conflict.md").contains("at dusk"));
    let linted = desk.0.run(&["kb", "lint", "--kb", "notes"]);
    assert!(linted.stdout.contains("it was to be wiki/sources/a.md") && !linted.stdout.contains("conflict.conflict"));
    assert_eq!(desk.conflicts(), 1);
    let ended = desk.resolve("summaries/a", "--mine");
    assert!(ended.stderr.contains("name one of those that are open: wiki/sources/a.md\n"), "{ended:?}");
    assert_eq!(desk.resolve("sources/a", "--mine").code, 0);
    let ended = desk.resolve("summaries/a-conflict", "--mine");
    assert!(ended.code == 2 && ended.stderr.contains("nothing: there is no conflict in this base"), "{ended:?}");
}

#[test]
fn a_document_waits_for_a_person_until_somebody_settles_it() {
    let desk = Desk::in_conflict();
    let review = || desk.0.ok(&["kb", "status", "--kb", "notes", "--json"]).json()["review"].clone();
    assert_eq!(review(), 4);
    // Two by the end of their conflicts.
    assert_eq!(desk.resolve("summaries/report-04", "--mine").code, 0);
    assert_eq!(review(), 3);
    assert_eq!(desk.resolve("summaries/report-05", "--theirs").code, 0);
    assert_eq!(review(), 2);
    // One that is judged by a call of its path, too, and is mended: any call that meets it says so.
    assert_eq!(desk.0.run(&["kb", "add", "in/empty.md", "--kb", "notes"]).code, 0);
    assert_eq!(review(), 2, "it is one document");
    desk.0.write("in/empty.md", "# Soundings\n\nThe harbour was sounded in May.\n");
    assert_eq!(desk.ended(&[])["counts"]["done"], 1);
    assert_eq!(review(), 1);
    fs::remove_file(desk.0.path("in/empty.md")).unwrap();
    desk.ended(&[]);
    assert_eq!(review(), 1, "what is gone is for nobody to look at");
    // The last by a person's word: the command that is told for it.
    let told = desk.0.ok(&["kb", "status", "--kb", "notes"]).stdout;
    let way = told.lines().find_map(|line| line.split_once("let it be: highwater ")).expect("a way out").1;
    let words: Vec<&str> = way.split(' ').map(|word| if word == "…" { "it stays broken" } else { word }).collect();
    assert!(words.iter().any(|word| word.ends_with("in/broken.pdf")), "{words:?}");
    desk.0.ok(&words);
    assert_eq!(review(), 0);
    assert!(!desk.0.ok(&["kb", "status", "--kb", "notes"]).stdout.contains("review"));
}
