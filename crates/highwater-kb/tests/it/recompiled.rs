//! Documents that are made anew, and what becomes of one that others change meanwhile.

use highwater_engine::report::ExitCode;
use highwater_kb::recompile::{MOVES_MAX, Which};
use highwater_kb::{Snapshot, fold};

use crate::library::Paper;
use crate::rig::{Edition, Rig, change, named};

const TIDES: &str = "# Tides\n\nThe tidal range is the height between high water and low water.\n";

fn rig() -> Rig {
    let rig = Rig::new();
    rig.write("in/a.md", TIDES);
    rig.write("in/b.md", "# Harbours\n\nA harbour has a tidal range of its own.\n");
    rig
}

async fn full() -> Rig {
    let rig = rig();
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 2), "{report:?}");
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_edition_is_in_every_document_which_keeps_its_name_and_its_place() {
    let rig = full().await;
    let were = Snapshot::open(rig.home()).unwrap().documents(0, 10).unwrap();
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 2), "{report:?}");
    let are = Snapshot::open(rig.home()).unwrap().documents(0, 10).unwrap();
    for ((was_called, was), (is_called, is)) in were.iter().zip(&are) {
        assert_eq!(was_called, is_called);
        assert_eq!((was.sequence, &was.origin, was.content), (is.sequence, &is.origin, is.content));
        assert_eq!((was.compiler.as_str(), is.compiler.as_str()), ("test/1", "test/2"));
        let summary = rig.page(&format!("wiki/summaries/{is_called}.md")).unwrap();
        assert!(summary.contains("Edition 2.") && !summary.contains("Edition 1."), "{summary}");
    }
    let log = rig.page("wiki/log.md").unwrap();
    assert!(log.contains("recompile | a\n") && log.contains("recompile | b\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_out_equal_is_present_and_makes_no_generation() {
    let rig = full().await;
    let head = rig.head();
    let report = rig.recompile(Edition::of(1), Which::All).await;
    assert_eq!((report.counts.done, report.counts.present), (0, 2), "{report:?}");
    assert_eq!(rig.head(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn just_those_that_are_named_are_made_anew() {
    let rig = full().await;
    let report = rig.recompile(Edition::of(2), Which::These(vec![named("b")])).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    assert!(rig.page("wiki/summaries/a.md").unwrap().contains("Edition 1."));
    assert!(rig.page("wiki/summaries/b.md").unwrap().contains("Edition 2."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_corrected_meanwhile_is_made_anew_from_what_it_is_then() {
    let rig = full().await;
    let root = rig.root();
    let corrected = move || {
        let given = "# Tides\n\nCorrected: it is the height between two waters.\n";
        change(&root, |draft| {
            let mut newer = Paper::new("a", given, &[]);
            newer.document.origin = draft.document(&named("a"))?.unwrap().origin;
            newer.document.raw = draft.document(&named("a"))?.unwrap().raw;
            newer.fold_given(draft, given)
        });
    };
    let report = rig.recompile(Edition::of(2).meanwhile(corrected), Which::All).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 2), "{report:?}");
    let (summary, text) = (rig.page("wiki/summaries/a.md").unwrap(), rig.page("wiki/sources/a.md").unwrap());
    assert!(text.contains("Corrected") && summary.contains("Edition 2."), "{text}\n{summary}");
    assert!(rig.page("raw/a.md").unwrap().contains("Corrected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_removed_meanwhile_stays_away() {
    let rig = full().await;
    let root = rig.root();
    let removed = move || change(&root, |draft| fold::unfold(draft, &named("a"), false).map(drop));
    let report = rig.recompile(Edition::of(2).meanwhile(removed), Which::All).await;
    assert_eq!((report.counts.done, report.counts.gone), (1, 1), "{report:?}");
    assert_eq!((rig.page("wiki/summaries/a.md"), rig.page("raw/a.md")), (None, None));
    assert!(rig.page("wiki/summaries/b.md").unwrap().contains("Edition 2."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_changed_each_time_is_for_a_person_and_stays_what_others_made_it() {
    let rig = full().await;
    let mut edition = Edition::of(2);
    for n in 1..=MOVES_MAX {
        let root = rig.root();
        edition = edition.meanwhile(move || {
            change(&root, |draft| {
                let was = draft.document(&named("a"))?.unwrap();
                let paper = Paper::new("a", &format!("Theirs {n}.\n"), &[]);
                fold::fold(draft, &fold::Ready { document: &was, ..paper.ready() })
            });
        });
    }
    let report = rig.recompile(edition, Which::These(vec![named("a")])).await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{report:?}");
    let text = rig.page("wiki/sources/a.md").unwrap();
    assert!(text.contains(&format!("Theirs {MOVES_MAX}.")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_no_longer_lie_beside_a_document_are_not_lost() {
    let rig = Rig::new();
    rig.write("in/shown.md", "# Shown\n\nA picture of the harbour: ![it](it.png)\n");
    rig.write("in/it.png", highwater_testkit::documents::PNG);
    let report = rig.add(Edition::of(1), &["in/shown.md"]).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    let image = "wiki/sources/images/shown/image-1.png";
    assert!(rig.root().join(image).exists());
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    std::fs::remove_file(rig.path("in/it.png")).unwrap();
    let head = rig.head();
    let report = rig.recompile(Edition::of(3), Which::All).await;
    assert_eq!((report.counts.review, rig.head()), (1, head), "{report:?}");
    assert!(rig.root().join(image).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_bytes_are_damaged_stops_no_other() {
    let rig = full().await;
    let content = rig.opened().0.document(&named("a")).unwrap().unwrap().content;
    let object = rig.root().join(".highwater/objects").join(content.to_string());
    std::fs::write(&object, TIDES.replace("Tides", "Tidal")).unwrap();
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!((report.counts.review, report.counts.done), (1, 1), "{report:?}");
    std::fs::remove_file(&object).unwrap();
    let report = rig.recompile(Edition::of(3), Which::All).await;
    assert_eq!((report.counts.review, report.counts.done), (1, 1), "{report:?}");
    std::fs::create_dir(&object).unwrap();
    let report = rig.recompile(Edition::of(4), Which::All).await;
    assert_eq!((report.counts.review, report.counts.done), (1, 1), "{report:?}");
    assert!(rig.page("wiki/summaries/a.md").unwrap().contains("Edition 1."));
    assert!(rig.page("wiki/summaries/b.md").unwrap().contains("Edition 4."));
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_say_nothing_are_made_anew_together_beside_an_edit_of_what_they_share() {
    let rig = Rig::new();
    for n in 0..4 {
        let text = format!(
            "# Report {n}\n\nThe tidal range is the height between high water and low water. Gauge {n} measures the tidal range \
             at the Harbour Office every {} minutes.\n\nA storm surge adds to the tidal range.\n",
            n + 5
        );
        rig.write(&format!("in/report-{n}.md"), text);
    }
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!(report.counts.done, 4, "{report:?}");
    let path = rig.root().join("wiki/concepts/tidal-range.md");
    let page = std::fs::read_to_string(&path).unwrap();
    // The line that names all of them but the first.
    let also = page.lines().find(|line| line.starts_with("Also: ")).unwrap();
    let mine = page.replace(also, &format!("{also}, and mine"));
    std::fs::write(&path, &mine).unwrap();
    // What was compiled from three of them is lost, and the rows, which are made again.
    for n in [0, 1, 3] {
        let compiled = rig.opened().0.document(&named(&format!("report-{n}"))).unwrap().unwrap().compiled;
        std::fs::remove_file(rig.root().join(format!(".highwater/objects/{compiled}"))).unwrap();
    }
    for rows in ["kb.db", "kb.db-wal", "kb.db-shm"] {
        let _ = std::fs::remove_file(rig.root().join(".highwater").join(rows));
    }
    let held = rig.home().try_lock().unwrap().unwrap();
    drop(highwater_kb::base::rebuild(rig.home(), &held, crate::home::now()).unwrap());
    drop(held);
    let report = rig.recompile(Edition::of(1), Which::All).await;
    let counts = (report.counts.done, report.counts.present, report.counts.review);
    assert_eq!((report.exit, counts), (ExitCode::Drained, (3, 1, 0)), "{report:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), mine);
    assert!(!path.with_extension("conflict.md").exists());
    assert_eq!(rig.page("wiki/concepts/tidal-range.md").unwrap(), page);
    let report = rig.recompile(Edition::of(1), Which::All).await;
    assert_eq!(report.counts.present, 4, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_is_told_with_its_file_and_what_to_do() {
    let rig = Rig::new();
    rig.write("in/shown.md", "# Shown\n\nA picture of the harbour: ![it](it.png)\n");
    rig.write("in/it.png", highwater_testkit::documents::PNG);
    rig.write("in/tides.md", TIDES);
    rig.add(Edition::of(1), &["in/shown.md", "in/tides.md"]).await;
    std::fs::remove_file(rig.path("in/it.png")).unwrap();
    let content = rig.opened().0.document(&named("tides")).unwrap().unwrap().content;
    std::fs::remove_file(rig.root().join(".highwater/objects").join(content.to_string())).unwrap();
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!(report.counts.review, 2, "{report:?}");
    let told = report.notes.join("\n");
    let shown = rig.path("in/shown.md").canonicalize().unwrap();
    for there in [
        "shown is for you to look at: ",
        shown.to_str().unwrap(),
        "put them back there, and call again",
        "tides is for you to look at: what it was given as, raw/tides.md: ",
        "`highwater kb lint --verify` says what mends it",
    ] {
        assert!(told.contains(there), "{there}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_became_that_of_another_document_is_told_with_what_takes_the_old_one_out() {
    let rig = full().await;
    rig.write("in/b.md", TIDES);
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!((report.counts.present, report.counts.review), (1, 1), "{report:?}");
    let told = report.notes.join("\n");
    assert!(told.contains("as b: `highwater kb remove b` takes that out"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_again_is_told_to_be_no_generation() {
    let rig = Rig::new();
    rig.write("in/a.md", "# Tides\n\nThe moon pulls.\n");
    rig.add(Edition::of(1), &["in"]).await;
    let (head, name) = (rig.head(), named("a"));
    let compiled = rig.opened().0.document(&name).unwrap().unwrap().compiled;
    std::fs::remove_file(rig.root().join(format!(".highwater/objects/{compiled}"))).unwrap();
    let report = rig.recompile(Edition::of(1), Which::All).await;
    assert_eq!((report.counts.done, rig.head()), (1, head), "{report:?}");
    let told = report.notes.join("\n");
    assert!(told.contains("that is no generation, so `highwater kb undo` takes back what was done before"), "{told}");
    // A document that is made anew is one.
    let report = rig.recompile(Edition::of(2), Which::All).await;
    assert_eq!((report.counts.done, report.notes.len(), rig.head()), (1, 0, head + 1), "{report:?}");
}
