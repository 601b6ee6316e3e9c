//! Documents that the model makes anew: those that what is built in compiled, those of another model, and one that moves meanwhile.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use highwater_kb::recompile::MOVES_MAX;

use super::Desk;
use super::endpoint::{Endpoint, pages, said};
use crate::rig::Ended;

#[test]
fn what_another_compiler_made_is_made_anew_by_the_model_and_asked_once() {
    let desk = Desk::new(3, Endpoint::compiles());
    desk.rig.ok(&["kb", "add", "in", "--kb", "notes"]);
    assert!(desk.endpoint.asked().is_empty());
    let again = || desk.call(&["kb", "recompile", "--all"], &["--json"]).json()["counts"].clone();
    let counts = again();
    assert_eq!((&counts["done"], &counts["present"]), (&3.into(), &0.into()), "{counts}");
    assert!(desk.shown()["wiki/summaries/report-1.md"].contains("The model read report-1."));
    assert!(desk.shown()["wiki/concepts/tidal-range.md"].contains("report-2 says how high."));
    assert!(desk.listed().iter().all(|document| document["compiler"] == "llm/1 small"), "{:?}", desk.listed());
    let counts = again();
    assert_eq!((&counts["done"], &counts["present"]), (&0.into(), &3.into()), "{counts}");
    assert_eq!(desk.endpoint.asked().len(), 3);

    // Another model is asked for itself.
    let url = desk.endpoint.url();
    let args = ["kb", "recompile", "report-1", "--kb", "notes", "--llm-url", &url, "--llm-model", "large"];
    desk.rig.ok(&args);
    assert_eq!(desk.endpoint.asked().len(), 4);
    let of: Vec<_> = desk.listed().iter().map(|document| document["compiler"].clone()).collect();
    assert_eq!(of, ["llm/1 small", "llm/1 large", "llm/1 small"]);

    // And back to what is built in, which asks nobody.
    desk.rig.ok(&["kb", "recompile", "--all", "--kb", "notes"]);
    assert!(desk.listed().iter().all(|document| document["compiler"] == "builtin/1"));
    let shown = desk.shown();
    assert!(!shown.values().any(|text| text.contains("The model read")), "nothing of the model is left");
    let counts = again();
    assert_eq!(
        (&counts["done"], desk.endpoint.asked().len()),
        (&3.into(), 4),
        "what was paid is still there: {counts}"
    );
}

/// A model that a document of the desk moves under, at so many of the first times it is asked.
fn moving(times: usize) -> (Endpoint, Arc<OnceLock<PathBuf>>) {
    let (at, turns) = (Arc::new(OnceLock::<PathBuf>::new()), AtomicUsize::new(0));
    let place = Arc::clone(&at);
    let endpoint = Endpoint::start(move |asked| {
        let turn = turns.fetch_add(1, Ordering::SeqCst);
        if turn < times {
            let root = place.get().expect("the desk is there");
            std::fs::write(root.join("in/report-0.md"), format!("# Report\n\nVersion {turn}.\n")).unwrap();
            let mut add = Command::new(env!("CARGO_BIN_EXE_highwater"));
            let ended: Ended =
                add.args(["kb", "add", "in", "--kb", "notes"]).current_dir(root).output().unwrap().into();
            assert_eq!(ended.code, 0, "{ended:?}");
        }
        said(&pages(&asked.document()))
    });
    (endpoint, at)
}

#[test]
fn a_document_that_moves_while_the_model_writes_is_written_from_what_it_is_now() {
    let (endpoint, at) = moving(1);
    let desk = Desk::new(1, endpoint);
    desk.rig.ok(&["kb", "add", "in", "--kb", "notes"]);
    at.set(desk.rig.dir.path().to_owned()).unwrap();
    let counts = desk.call(&["kb", "recompile", "--all"], &["--json"]).json()["counts"].clone();
    assert_eq!(counts["done"], 1, "{counts}");
    let asked = desk.endpoint.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].words().contains("The gauge measured") && asked[1].words().contains("Version 0."));
    let shown = desk.shown();
    assert!(shown["wiki/sources/report-0.md"].contains("Version 0."));
    assert!(shown["wiki/summaries/report-0.md"].contains("The model read report-0."));
}

#[test]
fn a_document_that_moves_each_time_is_for_a_person_and_stays_as_it_is() {
    let moves = usize::try_from(MOVES_MAX).unwrap();
    let (endpoint, at) = moving(moves);
    let desk = Desk::new(1, endpoint);
    desk.rig.ok(&["kb", "add", "in", "--kb", "notes"]);
    at.set(desk.rig.dir.path().to_owned()).unwrap();
    let counts = desk.call(&["kb", "recompile", "--all"], &["--json"]).json()["counts"].clone();
    assert_eq!((&counts["review"], &counts["done"]), (&1.into(), &0.into()), "{counts}");
    assert_eq!((desk.endpoint.asked().len(), desk.kept()), (moves, moves));
    assert!(desk.shown()["wiki/sources/report-0.md"].contains(&format!("Version {}.", moves - 1)));
    assert_eq!(desk.listed()[0]["compiler"], "builtin/1");
    // Once it stands still, it is made anew.
    let counts = desk.call(&["kb", "recompile", "--all"], &["--json"]).json()["counts"].clone();
    assert_eq!((&counts["done"], desk.endpoint.asked().len()), (&1.into(), moves + 1), "{counts}");
}
