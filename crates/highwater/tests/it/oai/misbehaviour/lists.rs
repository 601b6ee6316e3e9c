//! Lists: tokens, pages and sizes. None of it makes a list look complete that is not.

use std::time::Duration;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_oai::protocol::{Datestamp, Granularity, Header, Record};
use highwater_oai::provider::{Identity, Memory};
use jiff::Timestamp;

use super::{CALM_BACKFILL, CALM_HARVEST, LENIENT, Lines, Story};

#[tokio::test]
async fn an_empty_token_on_the_last_page_is_an_end() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &[], 1), @"exit 0, contacts 7: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    assert_eq!(story.far.asked(), CALM_HARVEST);
    story.is_whole().await;
}

#[tokio::test]
async fn a_backfill_asks_for_each_live_record_once() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &[], 2), @"
    exit 0, contacts 30: backfill: drained; this pass: 24 done; 24 of 24 terminal (pass 1, exit 0)
    exit 0, contacts 0: backfill: nothing to do: it was drained before (`highwater worklist backfill --replace|--extend`, or `retry`, opens it); 24 of 24 terminal (pass 2, exit 0)
    ");
    assert_eq!(story.far.asked(), CALM_BACKFILL);
}

#[tokio::test]
async fn a_token_whose_next_page_is_empty_is_an_end() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["empty-last-page"], 1), @"exit 0, contacts 8: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.is_whole().await;
}

#[tokio::test]
async fn r03_a_token_that_expires_begins_the_list_anew_and_is_never_an_end() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["expired-token@3"], 1), @"
    exit 0, contacts 11: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 3, with 15 records read; the list must begin anew
    ");
    story.is_whole().await;
    insta::assert_snapshot!(story.passes("backfill", &["expired-token@3"], 1), @"
    exit 0, contacts 10: backfill: drained (pass 2, exit 0)
    [TIME]  WARN the list of identifiers begins anew why=the resumption token expired after page 3, with 15 records read; the list must begin anew
    ");
}

#[tokio::test]
async fn tokens_that_always_expire_end_in_smaller_slices_or_in_a_halt() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["expired-token"], 1), @"
    exit 0, contacts 28: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    ");
    story.is_whole().await;
    insta::assert_snapshot!(story.passes("backfill", &["expired-token"], 1), @"
    exit 4, contacts 6: backfill: halted: the repository's list cannot be read: the resumption token expired after page 1, with 5 records read; the list must begin anew; look with `highwater status backfill`, then `highwater rearm backfill --why …` (pass 2, exit 4)
    [TIME]  WARN the list of identifiers begins anew why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    [TIME]  WARN the list of identifiers begins anew why=the resumption token expired after page 1, with 5 records read; the list must begin anew
    ");
}

#[tokio::test]
async fn a_list_in_a_circle_is_never_walked_for_ever() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["repeat-token"], 1), @"
    exit 4, contacts 6: backfill: halted: the repository's list cannot be read: the list goes in a circle: page 2 names a resumption token, or lists records, that came before; look with `highwater status backfill`, then `highwater rearm backfill --why …` (pass 1, exit 4)
    [TIME]  WARN the list of identifiers begins anew why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN the list of identifiers begins anew why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    ");
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["repeat-page"], 1), @"
    exit 4, contacts 6: backfill: halted: the repository's list cannot be read: the list goes in a circle: page 2 names a resumption token, or lists records, that came before; look with `highwater status backfill`, then `highwater rearm backfill --why …` (pass 1, exit 4)
    [TIME]  WARN the list of identifiers begins anew why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN the list of identifiers begins anew why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    ");
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["repeat-page"], 1), @"
    exit 0, contacts 28: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list goes in a circle: page 2 names a resumption token, or lists records, that came before
    ");
    story.is_whole().await;
}

#[tokio::test]
async fn a_token_is_escaped() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["odd-token"], 1), @"exit 0, contacts 7: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.is_whole().await;
}

#[tokio::test]
async fn a_record_on_two_pages_is_one_record() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["overlap"], 1), @"exit 0, contacts 8: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.is_whole().await;
    insta::assert_snapshot!(story.passes("backfill", &["overlap"], 1), @"exit 0, contacts 7: backfill: drained (pass 2, exit 0)");
}

#[tokio::test]
async fn a_size_that_is_missing_or_passed_or_a_cursor_that_counts_pages_means_nothing() {
    for fault in ["no-total", "wrong-total=3", "cursor-pages"] {
        let story = Story::new();
        story.passes("harvest", &[fault], 1);
        assert_eq!(story.far.asked(), CALM_HARVEST, "{fault}");
        story.is_whole().await;
    }
}

#[tokio::test]
async fn r03_a_list_that_ends_short_of_its_size_is_told_and_not_taken_for_whole() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["short-list@2"], 1), @"
    exit 0, contacts 9: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)
    [TIME]  WARN a list of the slice begins anew slice=[SLICE] why=the list ended after 10 records, expected 27, as the repository says itself
    ");
    story.is_whole().await;
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["short-list@2"], 2), @"
    exit 2, contacts 2: backfill: refused (pass 1, exit 2)
    error[HW-OAI-012]: the list of [URL] ended after 10 headers, expected 27, as it says itself
      next: crawl again with `highwater oai discover backfill --recrawl`; where the repository only counts wrong, set `accept-short-list = true`
    exit 2, contacts 0: backfill: refused (pass 2, exit 2)
    error[HW-OAI-012]: the list of [URL] ended after 10 headers, expected 27, as it says itself
      next: crawl again with `highwater oai discover backfill --recrawl`; where the repository only counts wrong, set `accept-short-list = true`
    ");
    insta::assert_snapshot!(story.passes("backfill", &["wrong-total=900"], 1), @"
    exit 2, contacts 0: backfill: refused (pass 3, exit 2)
    error[HW-OAI-012]: the list of [URL] ended after 10 headers, expected 27, as it says itself
      next: crawl again with `highwater oai discover backfill --recrawl`; where the repository only counts wrong, set `accept-short-list = true`
    ");
    let lines = Lines { both: "accept-short-list = true", ..Lines::default() };
    let story = Story::with(lines);
    insta::assert_snapshot!(story.passes("backfill", &["wrong-total=900"], 1), @"exit 0, contacts 30: backfill: drained; this pass: 24 done; 24 of 24 terminal (pass 1, exit 0)");
}

#[tokio::test]
async fn datestamps_out_of_order_or_finer_than_said_lose_nothing() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["unordered"], 1), @"exit 0, contacts 7: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.has_all().await;
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["finer-datestamps"], 1), @"exit 0, contacts 7: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.has_all().await;
}

#[tokio::test]
async fn a_deleted_header_without_metadata_is_a_tombstone_and_is_gone() {
    let story = Story::new();
    story.passes("harvest", &[], 1);
    story.is_whole().await;
    let story = Story::with(Lines { backfill: "ids = \"ids.txt\"\nbreaker = { gone = \"100%\" }", ..Lines::default() });
    let deleted = story.repository.headers().into_iter().find(|header| header.deleted).unwrap().identifier;
    story.rig.write("ids.txt", &format!("{deleted}\noai:books.example.org:20.500.12854/nowhere\n"));
    insta::assert_snapshot!(story.passes("backfill", &[], 1), @"exit 0, contacts 2: backfill: drained; this pass: 2 gone; 2 of 2 terminal (pass 1, exit 0)");
    insta::assert_snapshot!(story.items("backfill", "gone"), @"
    oai:books.example.org:20.500.12854/27: deleted
    oai:books.example.org:20.500.12854/nowhere: idDoesNotExist
    ");
}

#[tokio::test]
async fn r03_a_crawl_that_broke_off_goes_on_and_nothing_is_planned_from_its_half() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["500@4"], 1), @"exit 3, contacts 4: backfill: the repository answered with HTTP status 500: `java.lang.NullPointerException` (pass 1, exit 3)");
    assert_eq!(story.rig.run(&["items", "backfill"]).stdout, "", "nothing is planned");
    insta::assert_snapshot!(story.passes("backfill", &[], 1), @"exit 0, contacts 27: backfill: drained; this pass: 24 done; 24 of 24 terminal (pass 2, exit 0)");
    assert_eq!(story.far.asked(), CALM_BACKFILL + 1);
    assert_eq!(story.rig.oai_items("backfill", &["--outcome", "done"]).len(), 24);
}

#[tokio::test]
async fn r05_a_record_that_was_tried_is_loaded_again_and_one_that_was_not_is_present() {
    let story = Story::with(Lines { backfill: LENIENT, ..Lines::default() });
    story.passes("backfill", &["500@verb:GetRecord,1"], 1);
    let tried = story.items("backfill", "retry");
    let tried = tried.split(": the").next().unwrap();
    story.passes("harvest", &[], 1);
    insta::assert_snapshot!(story.passes("backfill", &[], 1), @"exit 0, contacts 1: backfill: drained; this pass: 1 done, 23 present; 24 of 24 terminal (pass 3, exit 0)");
    let last = story.far.requests().pop().unwrap();
    assert_eq!(last.identifier.as_deref(), Some(tried), "its load may have been done by half");
    story.is_whole().await;
}

#[tokio::test]
async fn r13_what_is_missing_is_asked_for_by_number_and_not_by_text() {
    for order in ["newest-first", "oldest-first", "as-given"] {
        let story = Story::with(Lines { backfill: &format!("order = \"{order}\""), ..Lines::default() });
        story.passes("backfill", &[], 1);
        let asked: Vec<String> = story.far.requests().into_iter().filter_map(|asked| asked.identifier).collect();
        let of_the_crawl = story.repository.headers().into_iter().filter(|header| !header.deleted);
        let mut expected: Vec<String> = of_the_crawl.map(|header| header.identifier).collect();
        let number = |id: &String| id.rsplit('/').next().unwrap().parse::<u64>().unwrap();
        match order {
            "newest-first" => expected.sort_by_key(|id| std::cmp::Reverse(number(id))),
            "oldest-first" => expected.sort_by_key(number),
            _ => {}
        }
        assert_eq!(asked, expected, "{order}");
    }
}

#[tokio::test]
async fn r03_an_identifier_of_another_shape_is_told_where_it_is_not_drained() {
    let story = Story::with(Lines { backfill: "min-recognised = \"95%\"", ..Lines::default() });
    let now = SystemClock::new().now();
    let odd = Header { identifier: "oai:books.example.org:with space".to_owned(), ..deleted(1, now).header };
    story.repository.put(Record { header: odd, metadata: None });
    let said = story.rig.ok(&["oai", "discover", "backfill"]);
    insta::assert_snapshot!(story.plain(&said.stderr), @r#"[TIME]  WARN 1 of 28 identifiers are not of the shape "…" without white space, and are not drained first="oai:books.example.org:with space""#);
    assert_eq!(
        story.rig.ok(&["--json", "oai", "discover", "backfill", "--replace"]).json()["difference"]["unrecognised"],
        1
    );
    story.rig.write("highwater.toml", &story.rig.read("highwater.toml").replace("95%", "99%"));
    let refused = story.rig.run(&["oai", "discover", "backfill", "--replace"]);
    insta::assert_snapshot!(story.plain(&refused.stderr), @r#"
    error[HW-OAI-011]: 27 of 28 identifiers of [URL] are of the shape "…" without white space, expected 99% of them; the first that are not: "oai:books.example.org:with space"
      next: where the namespace moved correct `repository.identifier-prefix`, and look whether the target's identifiers moved too; where these few are to be left out lower `min-recognised`
    "#);
}

fn deleted(no: u64, at: Timestamp) -> Record {
    let datestamp = Datestamp::new(at, Granularity::Second);
    let identifier = format!("oai:late.example.org:{no}");
    Record { header: Header { identifier, datestamp, sets: Vec::new(), deleted: true }, metadata: None }
}

#[tokio::test]
async fn r07_a_record_that_appears_late_is_within_the_overlap() {
    const HOUR: Duration = Duration::from_secs(3600);
    for (granularity, late_by) in [(Granularity::Second, HOUR / 2), (Granularity::Day, HOUR * 23)] {
        let now = SystemClock::new().now();
        let earliest = Datestamp::new(now - 40 * HOUR, granularity);
        let identity =
            Identity { name: "Late".to_owned(), admin_emails: vec!["late@example.org".to_owned()], earliest };
        let story = Story::of(Memory::new(identity), Lines::default());
        story.repository.put(deleted(1, now - 30 * HOUR));
        story.passes("harvest", &[], 1);
        story.is_whole().await;
        // Its transaction was still open when the repository was asked.
        story.repository.put(deleted(2, now - late_by));
        story.passes("harvest", &[], 1);
        story.is_whole().await;
    }
}
