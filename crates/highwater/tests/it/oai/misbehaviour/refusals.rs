//! Refusals: answers that are no OAI-PMH, and those that ask to stay away.

use highwater_engine::clock::{Clock as _, SystemClock};
use jiff::Timestamp;

use super::{CALM_HARVEST, Lines, Story};

#[tokio::test]
async fn a_500_on_one_token_is_asked_again_where_the_list_stood() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["500@token,2"], 2), @"
    exit 3, contacts 4: harvest: [SLICE]: the repository answered with HTTP status 500: `java.lang.NullPointerException`; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 4: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    ");
    assert_eq!(story.far.asked(), CALM_HARVEST + 1);
    story.is_whole().await;
}

#[tokio::test]
async fn r03_html_with_200_is_an_error_and_never_an_empty_list() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["html@2"], 2), @r#"
    exit 3, contacts 2: harvest: [SLICE]: the answer is HTML ("We will be back soon") instead of OAI-PMH; this pass: 1 retry; 0 of 1 terminal (pass 1, exit 3)
    exit 0, contacts 6: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 2, exit 0)
    "#);
    story.is_whole().await;
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["html@verb:GetRecord,2"], 2), @r#"
    exit 3, contacts 8: backfill: oai:books.example.org:20.500.12854/25: the answer is HTML ("We will be back soon") instead of OAI-PMH; this pass: 1 done, 1 retry; 1 of 24 terminal (pass 1, exit 3)
    exit 0, contacts 23: backfill: drained; this pass: 23 done; 24 of 24 terminal (pass 2, exit 0)
    "#);
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["html"], 1), @r#"exit 3, contacts 1: backfill: the answer is HTML ("We will be back soon") instead of OAI-PMH (pass 1, exit 3)"#);
}

#[tokio::test]
async fn r02_a_403_bans_and_the_record_is_innocent() {
    let story = Story::with(Lines { resource: "fallback-ban = \"1h\"", ..Lines::default() });
    insta::assert_snapshot!(story.passes("backfill", &["403@verb:GetRecord,1"], 2), @"
    exit 3, contacts 7: backfill: far is banned until [TIME]: 403 Forbidden without Retry-After; 0 of 24 terminal (pass 1, exit 3)
    exit 3, contacts 0: backfill: far is banned until [TIME]: 403 Forbidden without Retry-After; 0 of 24 terminal (pass 2, exit 3)
    ");
    assert_eq!(story.items("backfill", "review"), "");
    let bans = story.rig.ok(&["--json", "bans"]).json();
    assert_eq!(bans[0]["why"], "403 Forbidden without Retry-After");
    story.rig.ok(&["lift", "far", "--why", "asked them"]);
    insta::assert_snapshot!(story.passes("backfill", &[], 1), @"exit 0, contacts 24: backfill: drained; this pass: 24 done; 24 of 24 terminal (pass 3, exit 0)");
}

#[tokio::test]
async fn r02_a_wait_is_read_as_seconds_as_a_date_24_hours_long_or_absent() {
    let (slow_down, unavailable) = ("429 Too Many Requests with Retry-After: ", "503 Service Unavailable with");
    for (fault, wait_min, why) in [
        ("429=120", 100, slow_down),
        ("503=date+3600", 3500, unavailable),
        ("429=24h", 86_300, slow_down),
        ("503=none", 3500, unavailable),
    ] {
        let lines = Lines { resource: "fallback-ban = \"1h\"\nmax-retry-after = \"1m\"", ..Lines::default() };
        let story = Story::with(lines);
        let told = story.passes("harvest", &[&format!("{fault}@3")], 2);
        let told: Vec<&str> = told.lines().collect();
        assert_eq!(told.len(), 2, "{told:?}");
        for (pass, contacts, told) in [(1, 3, told[0]), (2, 0, told[1])] {
            let begins = format!("exit 3, contacts {contacts}: harvest: far is banned until ");
            let ends = format!("; 0 of 1 terminal (pass {pass}, exit 3)");
            let why_it_is = told.strip_prefix(&begins).and_then(|told| told.split_once(": "));
            assert!(why_it_is.is_some_and(|(_, said)| said.starts_with(why)) && told.ends_with(&ends), "{told}");
        }
        let bans = story.rig.ok(&["--json", "bans"]).json();
        let until: Timestamp = bans[0]["until"].as_str().unwrap_or_else(|| panic!("{bans}")).parse().unwrap();
        let wait = until.duration_since(SystemClock::new().now()).as_secs();
        assert!((wait_min..=wait_min + 200).contains(&wait), "{fault}: {bans}");
        story.rig.ok(&["lift", "far", "--why", "a test"]);
        story.passes("harvest", &[], 1);
        assert_eq!(story.far.asked(), CALM_HARVEST + 1, "{fault}");
        story.is_whole().await;
    }
}

#[tokio::test]
async fn r02_a_short_wait_is_waited_out_once_and_a_second_one_ends_the_pass() {
    let lines = Lines { resource: "max-retry-after = \"5s\"", ..Lines::default() };
    let story = Story::with(lines);
    insta::assert_snapshot!(story.passes("harvest", &["429=1@3"], 1), @"exit 0, contacts 8: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    assert_eq!(story.far.asked(), CALM_HARVEST + 1);
    story.is_whole().await;
    let story = Story::with(lines);
    insta::assert_snapshot!(story.passes("harvest", &["429=2@3..4"], 1), @"exit 3, contacts 4: harvest: far is banned until [TIME]: 429 Too Many Requests with Retry-After: 2; 0 of 1 terminal (pass 1, exit 3)");
}

#[tokio::test]
async fn another_4xx_halts_with_what_the_repository_said() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("backfill", &["404@verb:GetRecord,1"], 2), @"
    exit 4, contacts 7: backfill: halted: the repository answered with HTTP status 404: `Not Found`, where oai:books.example.org:20.500.12854/26 was asked for; look with `highwater status backfill`, then `highwater rearm backfill --why …`; 0 of 24 terminal (pass 1, exit 4)
    exit 4, contacts 0: backfill: halted: the repository answered with HTTP status 404: `Not Found`, where oai:books.example.org:20.500.12854/26 was asked for; look with `highwater status backfill`, then `highwater rearm backfill --why …`; 0 of 24 terminal (pass 2, exit 4)
    ");
    let status = story.plain(&story.rig.run(&["status", "backfill"]).stdout);
    let evidence = &status[status.find("  evidence").unwrap()..status.find("  last pass").unwrap()];
    insta::assert_snapshot!(evidence, @"
    evidence   the repository answered with HTTP status 404: `Not Found`
               next: `highwater rearm backfill --why …`
    ");
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["404@2"], 1), @"exit 4, contacts 2: harvest: halted: the repository's list cannot be read: the repository answered with HTTP status 404: `Not Found`; look with `highwater status harvest`, then `highwater rearm harvest --why …`; 0 of 1 terminal (pass 1, exit 4)");
}

#[tokio::test]
async fn r02_a_redirect_is_a_contact_of_its_own_and_one_in_a_circle_is_refused() {
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["redirect@3"], 1), @"exit 0, contacts 8: harvest: drained; this pass: 1 done; 1 of 1 terminal (pass 1, exit 0)");
    story.is_whole().await;
    story.far.faults(&["redirect@1"]);
    let before = story.far.asked();
    let pass = story.rig.oai_pass("harvest", &[]);
    assert_eq!(pass.contacts(), story.far.asked() - before, "each request is a contact");
    let story = Story::new();
    insta::assert_snapshot!(story.passes("harvest", &["redirect"], 1), @"exit 4, contacts 6: harvest: halted: the repository's list cannot be read: the repository answered with HTTP status 302: it redirects to /oai?verb=Identify; look with `highwater status harvest`, then `highwater rearm harvest --why …` (pass 1, exit 4)");
}

#[tokio::test]
async fn r02_without_a_word_of_when_a_crawl_stays_away_for_an_hour_and_a_drain_for_a_minute() {
    for (fault, wait) in [("429=none@2", 3500..=3600), ("503=none@verb:GetRecord,2", 30..=60)] {
        let story = Story::with(Lines { resource: "max-retry-after = \"1s\"", ..Lines::default() });
        story.passes("backfill", &[fault], 1);
        let bans = story.rig.ok(&["--json", "bans"]).json();
        let until: Timestamp = bans[0]["until"].as_str().unwrap_or_else(|| panic!("{bans}")).parse().unwrap();
        let left = until.duration_since(SystemClock::new().now()).as_secs();
        assert!(wait.contains(&left), "{fault}: {bans}");
    }
}
