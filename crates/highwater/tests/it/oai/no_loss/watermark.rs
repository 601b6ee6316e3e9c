//! The watermark is the repository's time, not ours, and passes no slice that was not fetched to its end.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::StopSignal;
use highwater_engine::job::WorkItem as _;
use highwater_engine::ledger::{Who, Word};
use highwater_engine::report::Reason;
use highwater_oai::client::{Client, Endpoint};
use highwater_oai::harvest::Harvest;
use highwater_oai::protocol::Verb;
use highwater_oai::settings::HarvestSettings;
use highwater_testkit::faulty_http::{Answer, FaultyHttp, Received};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::world::{DAY, Far, World};

const HOUR_SECS: i64 = 3600;

#[tokio::test]
async fn r07_the_watermark_is_the_servers_time_although_our_clock_is_hours_off() {
    for ours_ahead_secs in [-7 * HOUR_SECS, 7 * HOUR_SECS] {
        let world = World::new(Far { a_page: 1, ours_ahead_secs, ..Far::default() }).await;
        world.drain(3).await;
        for night in 0..4 {
            // All of it within hours of the last watermark: a clock that is ahead would be beyond it.
            world.repository.change(5);
            world.advance(Duration::from_secs(1800));
            world.repository.change(5);
            world.advance(DAY);
            let asked = world.far.requests().len();
            let report = world.night().await;
            assert_eq!(report.reason, Reason::Drained, "{}", report.message);
            let first = world.far.requests().split_off(asked).into_iter().find(|r| r.verb == Some(Verb::ListRecords));
            let first = Timestamp::from_second(first.unwrap().at.as_second()).unwrap();
            assert_eq!(world.watermark().await, Some(first), "night {night}, ours {ours_ahead_secs} s ahead");
        }
        world.is_whole_after_a_calm_night().await;
    }
}

#[tokio::test]
async fn r07_a_list_that_breaks_off_is_halved_although_our_clock_is_hours_behind() {
    let world = World::new(Far { pages_max: Some(2), ours_ahead_secs: -30 * HOUR_SECS, ..Far::default() }).await;
    world.drain(5).await;
    world.day(60);
    world.drain(1).await;
    assert!(world.repository.expired() > 0);
    world.is_whole_after_a_calm_night().await;
}

#[tokio::test]
async fn r07_a_quiet_night_that_is_told_by_a_404_is_dated_by_the_server_too() {
    // Ours is ahead by more than a night has hours until the next one.
    let world = World::new(Far { ours_ahead_secs: 20 * HOUR_SECS, ..Far::default() }).await;
    let began = world.server_now();
    let list = Arc::new(std::sync::Mutex::new((began, None::<Timestamp>)));
    let shared = Arc::clone(&list);
    let far = FaultyHttp::start(move |asked: &Received| {
        let (now, record) = *shared.lock().unwrap();
        answer(asked, now, record)
    })
    .await
    .unwrap();
    let harvest = || {
        let settings: HarvestSettings = serde_json::from_value(json!({
            "repository": { "base-url": far.url("/oai") },
            "since": "2026-02-28",
        }))
        .unwrap();
        let mut place = world.place("harvest");
        let endpoint = Endpoint { base_url: far.url("/oai").parse().unwrap(), ..place.client.endpoint().clone() };
        place.client = Client::new(endpoint);
        Arc::new(Harvest::new(settings, place))
    };
    let report = world.ride.pass(&harvest()).await;
    assert_eq!(report.reason, Reason::Drained, "{}", report.message);
    // One record comes two hours later, by the server's clock.
    let came = began + SignedDuration::from_hours(2);
    world.advance(DAY);
    *list.lock().unwrap() = (world.server_now(), Some(came));
    let report = world.ride.pass(&harvest()).await;
    assert_eq!(report.reason, Reason::Drained, "{}", report.message);
    let here = crate::oai::in_catalog(&world.catalog()).await;
    assert_eq!(here.keys().collect::<Vec<_>>(), ["oai:x:1"], "what came in the night is not lost");
}

/// A repository of at most one record, which says that nothing matches with a 404.
fn answer(asked: &Received, now: Timestamp, record: Option<Timestamp>) -> Answer {
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ");
    let document = |inner: &str| {
        format!(
            "<?xml version=\"1.0\"?><OAI-PMH xmlns=\"http://www.openarchives.org/OAI/2.0/\">\
             <responseDate>{now}</responseDate><request>http://x/</request>{inner}</OAI-PMH>"
        )
    };
    if asked.path.contains("Identify") {
        return Answer::ok(document(
            "<Identify><repositoryName>x</repositoryName><baseURL>http://x/</baseURL>\
             <protocolVersion>2.0</protocolVersion><adminEmail>a@example.org</adminEmail>\
             <earliestDatestamp>2026-02-28T00:00:00Z</earliestDatestamp><deletedRecord>no</deletedRecord>\
             <granularity>YYYY-MM-DDThh:mm:ssZ</granularity></Identify>",
        ));
    }
    let from = asked.path.split("from=").nth(1).and_then(|rest| rest.split('&').next()).unwrap().replace("%3A", ":");
    match record.filter(|record| *record >= from.parse::<Timestamp>().unwrap()) {
        Some(record) => Answer::ok(document(&format!(
            "<ListRecords><record><header><identifier>oai:x:1</identifier><datestamp>{record}</datestamp></header>\
             <metadata><oai_dc:dc xmlns:oai_dc=\"http://www.openarchives.org/OAI/2.0/oai_dc/\" \
             xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:title>One</dc:title></oai_dc:dc></metadata></record>\
             </ListRecords>"
        ))),
        None => Answer::status(404).body(document("<error code=\"noRecordsMatch\">nothing</error>")),
    }
}

#[tokio::test]
async fn r07_the_watermark_waits_for_a_slice_that_was_never_begun_although_a_person_skipped_a_whole_one() {
    let mut world = World::new(Far { records: 700, ..Far::default() }).await;
    // The first slice is fetched to its end, and the pass is stopped before it is loaded.
    let stop = world.ride.engine.stop.clone();
    world.repository.last_page_of_a_list(move || stop.raise());
    let report = world.night().await;
    assert_eq!((report.reason, report.counts.all()), (Reason::Stopped, 0), "{}", report.message);
    world.ride.engine.stop = StopSignal::default();
    let slices = world.slices().await;
    assert!(slices.len() > 2, "{slices:?}");
    let word = Word { at: world.clock_now(), who: Who("tester".to_owned()), why: "not wanted".to_owned() };
    let ledger = &world.ride.engine.ledger;
    assert_eq!(ledger.skip_items(&world.ride.spec.name, &[slices[0].key()], &word).await.unwrap(), 1);

    // The second one cannot be asked for at all.
    world.repository.breaks_from(Some(slices[1].from));
    let mut report = world.night().await;
    for _ in 0..6 {
        if report.reason == Reason::Drained {
            break;
        }
        report = world.night().await;
    }
    assert_eq!((report.reason, report.tally.unwrap().review), (Reason::Drained, 1), "{}", report.message);
    assert_eq!(world.watermark().await, None, "{:?}", report.notes);

    world.repository.breaks_from(None);
    world.is_whole_after_a_calm_night().await;
}
