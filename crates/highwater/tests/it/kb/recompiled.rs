//! Documents that are made anew from what they were given as.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_kb::fold::{self, Ready};
use highwater_kb::{Base, Directory, Home, Snapshot};

use super::Desk;
use crate::rig::{dice, pause};

/// Gives every document a version of another compiler, as before an update.
fn age(desk: &Desk) {
    let home: Arc<dyn Home> = Arc::new(Directory::open(&desk.0.path("notes")).unwrap());
    let now = SystemClock::new().now();
    let mut base = Base::open(Arc::clone(&home), now).unwrap();
    let held = home.try_lock().unwrap().expect("nobody else is here");
    let documents = Snapshot::open(Arc::clone(&home)).unwrap().documents(0, 1000).unwrap();
    let committed = base.commit(&held, now, "age", "every document", |draft| {
        for (name, document) in &documents {
            let bytes = draft.read(&document.full_text, 1 << 24)?.expect("it has a text");
            let compiled = highwater_kb::compile::Compiled {
                title: document.title.clone(),
                doc_type: "notes".to_owned(),
                description: "What an old compiler said.".to_owned(),
                summary: "What an old compiler said.".to_owned(),
                tree: Vec::new(),
                contributions: Vec::new(),
            };
            let document = highwater_kb::Document { compiler: "old/0".to_owned(), ..document.clone() };
            let text = String::from_utf8(bytes).unwrap();
            let ready = Ready { name, document: &document, text: &text, images: &[], compiled: &compiled };
            fold::fold(draft, &ready)?;
        }
        Ok(())
    });
    assert!(committed.unwrap().is_some());
}

#[test]
fn what_comes_out_as_it_is_there_is_present_and_nothing_is_written() {
    let desk = Desk::full();
    desk.ended(&[]);
    let shown = desk.shown();
    let log = desk.0.ok(&["kb", "log", "--kb", "notes", "--json"]).stdout;
    let report = desk.0.ok(&["kb", "recompile", "--all", "--kb", "notes", "--json"]).json();
    assert_eq!((&report["counts"]["done"], &report["counts"]["present"]), (&0.into(), &27.into()), "{report}");
    assert_eq!(desk.shown(), shown);
    assert_eq!(desk.0.ok(&["kb", "log", "--kb", "notes", "--json"]).stdout, log, "no generation was made");
}

#[test]
fn an_old_base_is_made_anew_and_is_as_if_it_had_just_been_added() {
    let desk = Desk::full();
    desk.ended(&[]);
    let shown = desk.shown();
    age(&desk);
    assert!(desk.0.read("notes/wiki/summaries/tides.md").contains("What an old compiler said."));
    let ended = desk.0.ok(&["kb", "recompile", "in/tides.pdf", "report-03", "--kb", "notes"]);
    assert!(ended.stdout.contains("2 done"), "{ended:?}");
    assert!(!desk.0.read("notes/wiki/summaries/tides.md").contains("What an old compiler said."));
    assert!(desk.0.read("notes/wiki/summaries/harbour.md").contains("What an old compiler said."));
    let report = desk.0.ok(&["kb", "recompile", "--all", "--kb", "notes", "--json"]).json();
    assert_eq!((&report["counts"]["done"], &report["counts"]["present"]), (&25.into(), &2.into()), "{report}");
    same_but_the_log(&desk, &shown);
}

#[test]
fn r05_a_recompilation_that_is_killed_goes_on() {
    let desk = Desk::full();
    desk.ended(&[]);
    let shown = desk.shown();
    age(&desk);
    let mut dice = dice("r05_a_recompilation_that_is_killed_goes_on");
    let mut killed = 0;
    for _ in 0..40 {
        let mut pass = desk.0.doom(&["kb", "recompile", "--all", "--kb", "notes"]);
        // The first ones end before any pass could.
        pause(Duration::from_millis(dice.u64(1..20 + 10 * killed)));
        if !pass.runs() {
            break;
        }
        pass.kill_9();
        killed += 1;
    }
    assert!(killed > 0);
    desk.0.ok(&["kb", "recompile", "--all", "--kb", "notes"]);
    same_but_the_log(&desk, &shown);
    assert_eq!(std::fs::read_dir(desk.0.path("notes/.highwater/desks")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(desk.0.path("notes/.highwater/tmp")).unwrap().count(), 1, "the sign that it stands");
}

#[test]
fn r13_a_recompilation_gives_the_same_bytes_however_many_are_prepared_at_once() {
    let desk = Desk::full();
    desk.ended(&[]);
    let shown = desk.shown();
    for concurrency in ["1", "2", "8"] {
        age(&desk);
        desk.0.ok(&["kb", "recompile", "--all", "--kb", "notes", "--concurrency", concurrency]);
        same_but_the_log(&desk, &shown);
    }
}

fn same_but_the_log(desk: &Desk, shown: &std::collections::BTreeMap<String, Vec<u8>>) {
    let after = desk.shown();
    assert_eq!(after.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>());
    for (path, bytes) in after.iter().filter(|(path, _)| !path.starts_with("wiki/log")) {
        assert!(*bytes == shown[path], "{path} is\n{}", String::from_utf8_lossy(bytes));
    }
}
