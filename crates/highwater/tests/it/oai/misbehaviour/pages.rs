//! Pages: what is wrong with the bytes of an answer. A page that cannot be relied on is asked for again; a record that cannot be
//! read costs only itself.

use highwater_engine::clock::{Clock as _, SystemClock};

use super::{CALM_HARVEST, LENIENT, Lines, Story};

#[tokio::test]
async fn r03_truncated_xml_is_asked_for_again() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["truncate@4"], 2), @"
    exit 3, contacts 4: harvest: [SLICE]: the answer breaks off after [N] bytes, in a tag in `<record>`; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 4: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    assert_eq!(story.far.asked(), CALM_HARVEST + 1);
    story.is_whole().await;
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["truncate@verb:GetRecord,2"], 2), @"
    exit 3, contacts 8: backfill: oai:books.example.org:20.500.12854/25: the answer breaks off after [N] bytes, in a tag in `<record>`; this pass: 1 done, 1 retry; 1 of 24 terminal (pass 1, exit 3)
    exit 0, contacts 23: backfill: drained; this pass: 23 done; 24 of 24 terminal (pass 2, exit 0)
    ");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_asked_again() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["cut@4"], 2), @"
    exit 3, contacts 4: harvest: [SLICE]: the answer was interrupted after [N] bytes: end of file before message length reached; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 4: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    story.is_whole().await;
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["drop@4"], 2), @"
    exit 3, contacts 4: harvest: [SLICE]: the repository did not answer: connection closed before message completed; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 4: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    story.is_whole().await;
}

#[tokio::test]
async fn a_second_prolog_or_a_newline_before_the_first_means_nothing() {
    for fault in ["second-prolog", "leading-newline"] {
        let story = Story::new();
        story.passes("harvest", &[fault], 1);
        assert_eq!(story.far.asked(), CALM_HARVEST, "{fault}");
        story.is_whole().await;
    }
}

#[tokio::test]
async fn letters_that_are_none_are_replaced_and_a_tab_stays() {
    for fault in ["control-chars", "bad-utf8"] {
        let story = Story::new();
        story.passes("harvest", &[fault], 1);
        assert_eq!(story.far.asked(), CALM_HARVEST, "{fault}");
        story.has_all().await;
        let shown = story.rig.ok(&["catalog", "export"]).stdout;
        let title = shown.lines().find(|book| book.contains('\u{FFFD}')).unwrap();
        let none = |c: char| c.is_control() && c != '\t' && c != '\n';
        assert!(!title.contains(none) && !title.contains("\\u00"), "{fault}: {title}");
    }
}

#[tokio::test]
async fn entities_of_a_dtd_are_never_expanded() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["dtd-entity"], 1), @"exit 0, contacts 7: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.has_all().await;
    let shown = story.rig.ok(&["catalog", "export"]).stdout;
    assert!(shown.contains("&words;&file;") && !shown.contains("expanded"), "{shown}");
}

#[tokio::test]
async fn wrong_or_missing_namespaces_mean_nothing() {
    for fault in ["wrong-namespace", "wrong-namespace=none"] {
        let story = Story::new();
        story.passes("harvest", &[fault], 1);
        assert_eq!(story.far.asked(), CALM_HARVEST, "{fault}");
        story.has_all().await;
    }
}

#[tokio::test]
async fn a_page_without_end_meets_a_limit() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["endless@4"], 2), @"
    exit 3, contacts 5: harvest: [SLICE]: the answer has more than 67108864 bytes; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 3: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    story.is_whole().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_or_drips_is_given_up() {
    let patient = Lines { repository: ", page-time = \"1s\"", ..Lines::default() };
    let story = Story::with(patient);
    insta::assert_snapshot!(story.passes("harvest", &["hang@4"], 2), @"
    exit 3, contacts 4: harvest: [SLICE]: the repository did not answer: operation timed out; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 4: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    story.is_whole().await;
    let story = Story::with(patient);
    insta::assert_snapshot!(story.passes("harvest", &["slow=100@4"], 2), @"
    exit 3, contacts 4: harvest: [SLICE]: the answer did not come to its end in time, 1 s at most; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 4: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    story.is_whole().await;
}

#[tokio::test]
async fn a_record_that_is_no_xml_costs_only_itself() {
    let story = Story::with(Lines { backfill: LENIENT, ..Lines::default() });
    insta::assert_snapshot!(story.passes("backfill", &["poison-xml=/7"], 1), @"exit 0, contacts 30: backfill: drained; this pass: 23 done, 1 review; 24 of 24 terminal, 1 in review (pass 1, exit 0)");
    insta::assert_snapshot!(story.items("backfill", "review"), @"oai:books.example.org:20.500.12854/7: ill-formed document: expected `</dc:title>`, but `</dc:titel>` was found");
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["poison-xml=/7"], 1), @"
    exit 0, contacts 7: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)
      note: [SLICE]: records for a person to look at: 1; oai:books.example.org:20.500.12854/7: ill-formed document: expected `</dc:title>`, but `</dc:titel>` was found
    ");
    story.has(26).await;
    // It stays known when the round is forgotten.
    story.passes("harvest", &["poison-xml=/7"], 1);
    let known = story.rig.ok(&["catalog", "review"]);
    insta::assert_snapshot!(known.stdout, @"oai:books.example.org:20.500.12854/7: ill-formed document: expected `</dc:title>`, but `</dc:titel>` was found");
    assert!(story.rig.ok(&["catalog", "figures"]).stdout.ends_with(", 1 for a person to look at\n"));

    // Of one that was here before, the newest version is what cannot be read, and a backfill asks for it again.
    let id = "oai:books.example.org:20.500.12854/8";
    assert!(story.repository.touch(id, SystemClock::new().now()));
    story.passes("harvest", &["poison-xml=/8"], 1);
    assert!(story.rig.ok(&["catalog", "show", id]).stdout.contains("for a person to look at"));
    insta::assert_snapshot!(story.passes("backfill", &[], 1), @"exit 0, contacts 8: backfill: drained; this pass: 2 done; 2 of 2 terminal (pass 4, exit 0)");
    story.is_whole().await;
}

#[tokio::test]
async fn a_record_that_always_meets_500_is_for_a_person_and_the_others_go_on() {
    let story = Story::with(Lines { backfill: LENIENT, ..Lines::default() });
    insta::assert_snapshot!(story.passes("backfill", &["poison-500=/7"], 6), @"
    exit 3, contacts 24: backfill: oai:books.example.org:20.500.12854/7: the repository answered with HTTP status 500: `java.lang.NullPointerException`; this pass: 17 done, 1 retry; 17 of 24 terminal (pass 1, exit 3)
    exit 3, contacts 7: backfill: oai:books.example.org:20.500.12854/7: the repository answered with HTTP status 500: `java.lang.NullPointerException`; this pass: 6 done, 1 retry; 23 of 24 terminal (pass 2, exit 3)
    exit 3, contacts 1: backfill: oai:books.example.org:20.500.12854/7: the repository answered with HTTP status 500: `java.lang.NullPointerException`; this pass: 1 retry; 23 of 24 terminal (pass 3, exit 3)
    exit 3, contacts 1: backfill: oai:books.example.org:20.500.12854/7: the repository answered with HTTP status 500: `java.lang.NullPointerException`; this pass: 1 retry; 23 of 24 terminal (pass 4, exit 3)
    exit 0, contacts 1: backfill: drained; this pass: 1 review; 24 of 24 terminal, 1 in review (pass 5, exit 0)
    exit 0, contacts 0: backfill: nothing to do: it was drained before (`highwater worklist backfill --replace|--extend`, or `retry`, opens it); 24 of 24 terminal, 1 in review (pass 6, exit 0)
    ");
    insta::assert_snapshot!(story.items("backfill", "review"), @"oai:books.example.org:20.500.12854/7: 5 attempts, the last: the repository answered with HTTP status 500: `java.lang.NullPointerException`");
}

#[tokio::test]
async fn r05_what_was_fetched_is_kept_until_it_is_loaded() {
    let story = Story::new();
    let catalogue = story.rig.path(".highwater-state/catalog.db");
    std::fs::create_dir_all(&catalogue).unwrap();
    let told = story.passes("harvest", &[], 2).replace(&story.rig.dir.path().display().to_string(), "[DIR]");
    insta::assert_snapshot!(told, @"
    exit 2, contacts 7: harvest: refused; 0 of 1 terminal (pass 1, exit 2)
    error[HW-OAI-008]: [DIR]/.highwater-state/catalog.db: the catalogue cannot be opened: [DIR]/.highwater-state/catalog.db is not a SQLite database: it is not a file
      next: name another file; this one is left as it is
    warning: the backup of [DIR]/.highwater-state/catalog.db failed: the catalogue cannot be opened: [DIR]/.highwater-state/catalog.db is not a SQLite database: it is not a file
    exit 2, contacts 0: harvest: refused; 0 of 1 terminal (pass 2, exit 2)
    error[HW-OAI-008]: [DIR]/.highwater-state/catalog.db: the catalogue cannot be opened: [DIR]/.highwater-state/catalog.db is not a SQLite database: it is not a file
      next: name another file; this one is left as it is
    warning: the backup of [DIR]/.highwater-state/catalog.db failed: the catalogue cannot be opened: [DIR]/.highwater-state/catalog.db is not a SQLite database: it is not a file
    ");
    assert_eq!(story.far.asked(), CALM_HARVEST, "what is in the spool is not fetched again");
    std::fs::remove_dir(&catalogue).unwrap();
    insta::assert_snapshot!(story.passes("harvest", &[], 1), @"exit 0, contacts 0: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 3, exit 0)");
    story.is_whole().await;
}
