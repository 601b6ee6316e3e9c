//! Documents that come in beside others, and the names they get.

use highwater_engine::report::ExitCode;
use highwater_kb::page::link;
use highwater_kb::{Snapshot, fold};

use crate::library::Paper;
use crate::rig::{Edition, Rig, change, named};

fn names(rig: &Rig) -> Vec<String> {
    let documents = Snapshot::open(rig.home()).unwrap().documents(0, 100).unwrap();
    documents.into_iter().map(|(name, _)| name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_name_another_took_meanwhile_comes_in_under_one_of_its_own() {
    let rig = Rig::new();
    rig.write("in/report.md", "# Tides\n\nA picture: ![it](it.png)\n");
    rig.write("in/it.png", highwater_testkit::documents::PNG);
    let root = rig.root();
    let other = Paper::new("Report", "Another one.\n", &[]);
    let meanwhile = Edition::of(1).meanwhile(move || change(&root, |draft| other.fold(draft)));
    let report = rig.add(meanwhile, &["in/report.md"]).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{report:?}");
    let names = names(&rig);
    assert_eq!(names[0], "Report");
    let own = &names[1];
    assert!(own.starts_with("report-"), "{names:?}");
    let text = rig.page(&format!("wiki/sources/{own}.md")).unwrap();
    assert!(text.contains(&format!("images/{own}/image-1.png")), "{text}");
    assert!(rig.root().join(format!("wiki/sources/images/{own}/image-1.png")).exists());
    assert!(rig.page(&format!("raw/{own}.md")).is_some());
    let summary = rig.page(&format!("wiki/summaries/{own}.md")).unwrap();
    let targets: Vec<String> = link::links(&summary).into_iter().map(|link| link.target).collect();
    assert!(targets.contains(&format!("sources/{own}")), "{summary}");
    assert!(rig.page("wiki/sources/Report.md").unwrap().contains("Another one."));
    // The same is known from now on, and what it would be made anew as is what it is.
    let report = rig.add(Edition::of(1), &["in/report.md"]).await;
    assert_eq!(report.counts.present, 1, "{report:?}");
    let report = rig.recompile(Edition::of(1), highwater_kb::recompile::Which::These(vec![named(own)])).await;
    assert_eq!(report.counts.present, 1, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_raw_that_was_kept_is_not_written_over_by_another_document_of_its_name() {
    let rig = Rig::new();
    rig.write("in/report.md", "# Report\n\nThe first one.\n");
    rig.write("other/report.md", "# Report\n\nThe second one.\n");
    rig.add(Edition::of(1), &["in/report.md"]).await;
    change(&rig.root(), |draft| fold::unfold(draft, &named("report"), true).map(drop));
    let report = rig.add(Edition::of(1), &["other/report.md"]).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    assert!(rig.page("raw/report.md").unwrap().contains("The first one."));
    assert!(std::fs::read_to_string(rig.root().join("raw/report.md")).unwrap().contains("The first one."));
    assert!(names(&rig)[0].starts_with("report-"), "{:?}", names(&rig));
    // The first one comes back to its own file.
    let report = rig.add(Edition::of(1), &["in/report.md"]).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    assert_eq!(names(&rig)[1], "report");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_removed_while_it_was_prepared_comes_in_again_as_the_later_of_the_two() {
    let rig = Rig::new();
    rig.write("in/a.md", "# A\n\nThe first version.\n");
    rig.add(Edition::of(1), &["in"]).await;
    rig.write("in/a.md", "# A\n\nThe second version.\n");
    let root = rig.root();
    let removed = move || change(&root, |draft| fold::unfold(draft, &named("a"), false).map(drop));
    let report = rig.add(Edition::of(1).meanwhile(removed), &["in"]).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{report:?}");
    assert_eq!(names(&rig), ["a"]);
    assert!(rig.page("wiki/sources/a.md").unwrap().contains("second version"));
    let document = rig.opened().0.document(&named("a")).unwrap().unwrap();
    assert_eq!(document.sequence, 2, "it is a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_how_a_base_hangs_together_comes_back_unless_a_person_deleted_it() {
    const GUIDE: &str = "wiki/AGENTS.md";
    let rig = Rig::new();
    let there = || rig.root().join(GUIDE).exists();
    rig.write("in/a.md", "# A\n\nThe first version.\n");
    {
        let (mut base, held) = rig.opened();
        base.undo(&held, crate::home::now(), 0).unwrap();
    }
    assert!(!there(), "the empty base has none");
    rig.add(Edition::of(1), &["in"]).await;
    assert!(there() && rig.root().join("wiki/index.md").exists());

    std::fs::remove_file(rig.root().join(GUIDE)).unwrap();
    rig.write("in/b.md", "# B\n\nAnother one.\n");
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!(report.counts.done, 1, "{report:?}");
    assert!(!there(), "what a person deleted stays deleted");
}
