//! Going back where something of it is lost, or was deleted since, as a person is told of it.

use std::fs;

use super::{Desk, told};

const PAGE: &str = "notes/wiki/summaries/a.md";

impl Desk {
    fn with_text(text: &str) -> Self {
        let desk = Self::new();
        desk.say(text);
        desk
    }

    fn say(&self, text: &str) {
        self.0.write("in/a.md", &format!("# Alpha\n\n{text}\n"));
        self.ended(&[]);
    }

    /// The object that has these words.
    fn object(&self, words: &str) -> std::path::PathBuf {
        let objects = fs::read_dir(self.0.path("notes/.highwater/objects")).unwrap();
        let mut found =
            objects.map(|entry| entry.unwrap().path()).filter(|path| fs::read_to_string(path).unwrap() == words);
        found.next().unwrap()
    }
}

#[test]
fn what_was_yours_and_is_lost_is_named_before_and_the_rest_goes_back_where_you_say_so() {
    for damaged in [false, true] {
        let desk = Desk::with_text("Some words about one thing.");
        desk.0.write(PAGE, "mine\n");
        desk.say("Other words about one thing.");
        desk.0.ok(&["kb", "resolve", "summaries/a", "--theirs", "--kb", "notes"]);
        let object = desk.object("mine\n");
        match damaged {
            false => fs::remove_file(&object).unwrap(),
            true => fs::write(&object, "nime\n").unwrap(),
        }
        let before = desk.shown();
        let refused = told(&desk.0, &["kb", "undo", "2", "--kb", "notes"]);
        assert_eq!(desk.shown(), before);
        let linted = told(&desk.0, &["kb", "lint", "--verify", "--kb", "notes"]);
        let json = desk.0.ok(&["kb", "undo", "2", "--partly", "--kb", "notes", "--json"]).json();
        assert_eq!(
            (&json["lost"][0]["of"], &json["lost"][0]["is_damaged"]),
            (&"wiki/summaries/a.md".into(), &damaged.into()),
            "{json}"
        );
        assert!(desk.0.read(PAGE).contains("Some words"));
        desk.0.ok(&["kb", "undo", "4", "--kb", "notes"]);
        let partly = told(&desk.0, &["kb", "undo", "2", "--partly", "--kb", "notes"]);
        insta::assert_snapshot!(
            format!("undo_of_what_is_{}", if damaged { "damaged" } else { "gone" }),
            [refused, linted, partly].join("\n")
        );
        desk.say("New words about one thing.");
        assert!(desk.0.read(PAGE).contains("New words"));
    }
}

#[test]
fn of_a_page_that_comes_again_with_its_document_it_is_not_said_that_it_stays_away() {
    let desk = Desk::with_text("Some words about one thing.");
    desk.0.write(PAGE, "mine\n");
    desk.0.ok(&["kb", "undo", "1", "--kb", "notes"]);
    desk.0.write("b.md", "# Beta\n\nOther words.\n");
    desk.0.ok(&["kb", "add", "b.md", "--kb", "notes"]);
    fs::remove_file(desk.0.path(PAGE)).unwrap();
    let undone = desk.0.ok(&["kb", "undo", "1", "--kb", "notes"]);
    assert!(!undone.stdout.contains("summaries/a.md"), "{undone:?}");
    desk.ended(&[]);
    assert!(desk.0.read(PAGE).contains("Some words"));
}

#[test]
fn a_file_that_was_not_there_is_not_told_as_one_that_goes() {
    let desk = Desk::with_text("Some words about one thing.");
    fs::remove_file(desk.0.path(PAGE)).unwrap();
    for more in [&["--dry-run"][..], &[]] {
        let remove = [&["kb", "remove", "a", "--kb", "notes"], more].concat();
        let removed = desk.0.ok(&remove);
        assert!(removed.stdout.contains("  wiki/summaries/a.md was deleted already\n"), "{removed:?}");
        assert!(removed.stdout.contains("  wiki/sources/a.md goes\n"), "{removed:?}");
    }
}
