//! Jobs, halts, pauses, markers and the audit trail.

use highwater_engine::ledger::{EventFilter, ItemFilter, JobState, LedgerFault, PAGE_ROWS_MAX, Who};
use highwater_engine::name::ResourceName;
use highwater_engine::outcome::OutcomeKind::{Done, Failed, Gone, Review};
use highwater_engine::worklist::WorklistState;

use super::Home;
use super::world::{World, at, fault, job_name, keys, word};

pub(crate) async fn a_job_is_registered_once_and_takes_a_new_kind(home: &dyn Home) {
    let ledger = home.open().await;
    let name = job_name("books");
    assert!(ledger.job(&name).await.unwrap().is_none());
    ledger.register_job(&name, "exec").await.unwrap();
    ledger.halt(&name, &word(0, "look"), "").await.unwrap();
    ledger.register_job(&name, "oai-harvest").await.unwrap();
    let job = ledger.job(&name).await.unwrap().unwrap();
    assert_eq!((job.kind.as_str(), job.state), ("oai-harvest", JobState::Halted));
    assert!(job.worklist.is_none() && job.last_pass.is_none() && job.last_drained_at.is_none());
}

pub(crate) async fn jobs_are_listed_by_name(home: &dyn Home) {
    let ledger = home.open().await;
    for name in ["ship", "books", "kb"] {
        ledger.register_job(&job_name(name), "exec").await.unwrap();
    }
    let names: Vec<String> = ledger.jobs().await.unwrap().into_iter().map(|job| job.name.to_string()).collect();
    assert_eq!(names, ["books", "kb", "ship"]);
}

pub(crate) async fn r04_a_halt_stands_until_rearm_and_keeps_its_first_evidence(home: &dyn Home) {
    let world = World::new(home).await;
    let (ledger, name) = (&world.ledger, &world.job);
    assert!(!ledger.rearm(name, &word(1, "for nothing")).await.unwrap());
    assert!(ledger.halt(name, &word(2, "six of ten failed"), "item 3: 500").await.unwrap());
    assert!(!ledger.halt(name, &word(3, "again"), "other").await.unwrap());
    let job = world.job().await;
    let halt = job.halt.unwrap();
    assert_eq!((job.state, halt.at, halt.who), (JobState::Halted, at(2), Who("alice@desk".into())));
    assert_eq!((halt.why.as_str(), halt.evidence.as_str()), ("six of ten failed", "item 3: 500"));
    assert!(ledger.rearm(name, &word(4, "mended")).await.unwrap());
    assert!(!ledger.rearm(name, &word(5, "twice")).await.unwrap());
    let job = world.job().await;
    assert!(job.halt.is_none());
    assert_eq!(job.state, JobState::Active);
    assert_eq!(world.acts().await, ["halt", "rearm"]);
    // What would mend it stands with the first evidence, and goes with the halt.
    let until = async || world.job().await.halt.and_then(|halt| halt.until);
    ledger.halt_until(name, &word(6, "old code"), "", Some("other than c0ffee")).await.unwrap();
    ledger.halt_until(name, &word(7, "again"), "", None).await.unwrap();
    assert_eq!(until().await.as_deref(), Some("other than c0ffee"));
    ledger.rearm(name, &word(8, "mended")).await.unwrap();
    ledger.halt(name, &word(9, "look"), "").await.unwrap();
    assert_eq!(until().await, None);
}

pub(crate) async fn r04_a_halt_is_seen_by_whoever_opens_the_ledger_next(home: &dyn Home) {
    let world = World::new(home).await;
    world.ledger.halt(&world.job, &word(2, "look"), "evidence").await.unwrap();
    let name = world.job.clone();
    drop(world);
    let next = home.open().await;
    assert_eq!(next.job(&name).await.unwrap().unwrap().state, JobState::Halted);
    assert!(next.control(&name, &[]).await.unwrap().halted);
}

pub(crate) async fn halted_and_drained_are_facts_of_their_own(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a"]).await;
    world.record_kinds(worklist, &[Done]).await;
    world.ledger.halt(&world.job, &word(3, "look"), "").await.unwrap();
    world.seal(worklist).await;
    let job = world.job().await;
    assert_eq!((job.state, job.worklist.unwrap().state), (JobState::Halted, WorklistState::Drained));
    world.ledger.rearm(&world.job, &word(5, "seen")).await.unwrap();
    assert_eq!(world.job().await.state, JobState::Drained);
    world.ledger.halt(&world.job, &word(6, "look"), "").await.unwrap();
    world.ledger.retry_items(&world.job, &ItemFilter::All, &word(7, "once more")).await.unwrap();
    assert_eq!(world.job().await.state, JobState::Halted);
    world.ledger.rearm(&world.job, &word(8, "seen")).await.unwrap();
    assert_eq!(world.job().await.state, JobState::Active);
}

pub(crate) async fn rearm_starts_the_breaker_afresh(home: &dyn Home) {
    let world = World::new(home).await;
    let worklist = world.pin(["a", "b", "c"]).await;
    let tally = world.record_kinds(worklist, &[Review, Failed, Gone]).await;
    assert_eq!((tally.judged, tally.failed, tally.judged_gone, tally.generation), (3, 2, 1, 0));
    world.ledger.halt(&world.job, &word(3, "two of three"), "").await.unwrap();
    world.ledger.rearm(&world.job, &word(4, "mended")).await.unwrap();
    let tally = world.tally().await;
    assert_eq!((tally.judged, tally.failed, tally.judged_gone, tally.generation), (0, 0, 0, 1));
    assert_eq!((tally.review, tally.retry, tally.gone), (1, 1, 1));
}

pub(crate) async fn a_pause_stands_until_resume(home: &dyn Home) {
    let world = World::new(home).await;
    let (ledger, name) = (&world.ledger, &world.job);
    assert!(!ledger.resume(name, &word(1, "for nothing")).await.unwrap());
    assert!(ledger.pause(name, &word(2, "maintenance")).await.unwrap());
    assert!(!ledger.pause(name, &word(3, "again")).await.unwrap());
    let job = world.job().await;
    assert_eq!((job.state, job.paused.unwrap().why.as_str()), (JobState::Active, "maintenance"));
    assert!(ledger.resume(name, &word(4, "over")).await.unwrap());
    assert!(world.job().await.paused.is_none());
    assert_eq!(world.acts().await, ["pause", "resume"]);
}

fn pairs<const N: usize>(values: [(&str, &str); N]) -> Vec<(String, String)> {
    values.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(crate) async fn what_is_set_stands_until_it_is_unset(home: &dyn Home) {
    let world = World::new(home).await;
    let (ledger, name) = (&world.ledger, &world.job);
    ledger.set_overrides(name, &pairs([("pace", "5s"), ("concurrency", "2")]), &word(1, "gently")).await.unwrap();
    ledger.set_overrides(name, &pairs([("pace", "9s")]), &word(2, "")).await.unwrap();
    ledger.set_overrides(&job_name("other"), &pairs([("pace", "1s")]), &word(2, "")).await.unwrap();
    let overrides = home.open().await.job(name).await.unwrap().unwrap().overrides;
    let set: Vec<_> = overrides.iter().map(|o| (o.key.as_str(), o.value.as_str(), o.at, o.why.as_str())).collect();
    assert_eq!(set, [("concurrency", "2", at(1), "gently"), ("pace", "9s", at(2), "")]);
    assert_eq!(overrides[0].who, Who("alice@desk".into()));

    let keys = ["pace".to_owned(), "slice".to_owned()];
    assert_eq!(ledger.unset_overrides(name, &keys, &word(3, "done")).await.unwrap(), ["pace"]);
    assert_eq!(ledger.unset_overrides(name, &keys, &word(4, "again")).await.unwrap(), [""; 0]);
    assert_eq!(world.job().await.overrides.len(), 1);
    let filter = EventFilter { job: Some(name.clone()), ..EventFilter::default() };
    let events = ledger.events(&filter, 10).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.act.as_str(), event.why.as_str())).collect();
    assert_eq!(
        told,
        [
            ("set", "pace=5s: gently"),
            ("set", "concurrency=2: gently"),
            ("set", "pace=9s"),
            ("unset", "pace, which was 9s: done")
        ]
    );
}

pub(crate) async fn unsetting_all_unsets_what_is_set(home: &dyn Home) {
    let world = World::new(home).await;
    assert_eq!(world.ledger.unset_overrides(&world.job, &[], &word(1, "")).await.unwrap(), [""; 0]);
    world.ledger.set_overrides(&world.job, &pairs([("pace", "5s"), ("slice", "7d")]), &word(1, "")).await.unwrap();
    assert_eq!(world.ledger.unset_overrides(&world.job, &[], &word(2, "")).await.unwrap(), ["pace", "slice"]);
    assert!(world.job().await.overrides.is_empty());
    assert_eq!(world.acts().await, ["set", "set", "unset", "unset"]);
}

pub(crate) async fn a_job_is_drained_without_a_worklist_but_never_beside_an_open_one(home: &dyn Home) {
    let world = World::new(home).await;
    world.ledger.mark_drained(&world.job, &word(1, "its wrapper said so")).await.unwrap();
    assert_eq!(world.job().await.state, JobState::Drained);
    world.pin(["a"]).await;
    assert_eq!(world.job().await.state, JobState::Active);
    let refused = world.ledger.mark_drained(&world.job, &word(2, "not true")).await;
    assert_eq!(fault(refused), LedgerFault::NotThere);
    assert_eq!(world.job().await.state, JobState::Active);
}

pub(crate) async fn a_drained_job_opens_again_without_its_worklist(home: &dyn Home) {
    let world = World::new(home).await;
    world.ledger.reopen_job(&world.job, &word(1, "it is open")).await.unwrap();
    let first = world.pin(["a"]).await;
    world.record_kinds(first, &[Done]).await;
    world.ledger.reopen_job(&world.job, &word(2, "it is open")).await.unwrap();
    assert_eq!(world.job().await.worklist.unwrap().id, first);
    world.seal(first).await;
    world.ledger.reopen_job(&world.job, &word(5, ".done was deleted")).await.unwrap();
    let job = world.job().await;
    assert!(job.worklist.is_none());
    assert_eq!(job.state, JobState::Active);
    assert_eq!(world.acts().await, ["pin", "drained", "reopen"]);
    let second = world.pin(["a"]).await;
    assert_ne!(first, second);
    assert_eq!(world.open_keys(second).await, ["a"]);
}

pub(crate) async fn a_marker_is_remembered(home: &dyn Home) {
    let world = World::new(home).await;
    for marker in [Some("halted"), Some("halted"), Some("done"), None] {
        world.ledger.set_marker(&world.job, marker).await.unwrap();
        assert_eq!(world.job().await.marker.as_deref(), marker);
    }
}

pub(crate) async fn r18_every_change_of_a_person_is_an_event(home: &dyn Home) {
    let world = World::new(home).await;
    let (ledger, name, resource) = (&world.ledger, &world.job, &world.resource);
    let worklist = world.pin(["a", "b"]).await;
    world.record_kinds(worklist, &[Review]).await;
    ledger.halt(name, &word(10, "why halt"), "").await.unwrap();
    ledger.rearm(name, &word(11, "why rearm")).await.unwrap();
    ledger.pause(name, &word(12, "why pause")).await.unwrap();
    ledger.resume(name, &word(13, "why resume")).await.unwrap();
    ledger.extend_ban(resource, at(100), &word(14, "why ban")).await.unwrap();
    ledger.lift_ban(resource, &word(15, "why lift")).await.unwrap();
    ledger.retry_items(name, &ItemFilter::Keys(keys(["a"])), &word(16, "why retry")).await.unwrap();
    ledger.skip_items(name, &keys(["a", "b"]), &word(17, "why skip")).await.unwrap();
    ledger.add_event("import", Some(name), None, &word(18, "why import")).await.unwrap();
    let events = ledger.events(&EventFilter::default(), PAGE_ROWS_MAX).await.unwrap();
    let told: Vec<(&str, &str)> = events.iter().map(|event| (event.act.as_str(), event.why.as_str())).collect();
    assert_eq!(
        told,
        [
            ("pin", "pinned"),
            ("halt", "why halt"),
            ("rearm", "why rearm"),
            ("pause", "why pause"),
            ("resume", "why resume"),
            ("ban", "why ban"),
            ("lift", "why lift"),
            ("retry", "1 item: why retry"),
            ("skip", "2 items: why skip"),
            ("import", "why import"),
        ]
    );
    for event in events {
        assert_eq!(event.who, Who("alice@desk".into()));
        let of_resource = matches!(event.act.as_str(), "ban" | "lift");
        assert_eq!(event.job.as_ref(), (!of_resource).then_some(name));
        assert_eq!(event.resource.as_ref(), of_resource.then_some(resource));
    }
}

pub(crate) async fn events_are_filtered_and_paged(home: &dyn Home) {
    let ledger = home.open().await;
    let (books, ship) = (job_name("books"), job_name("ship"));
    for seconds in 0..5 {
        let job = if seconds % 2 == 0 { &books } else { &ship };
        ledger.add_event("import", Some(job), None, &word(seconds, &seconds.to_string())).await.unwrap();
    }
    ledger.add_event("import", None, Some(&ResourceName::of_job(&books)), &word(5, "5")).await.unwrap();
    let whys = async |filter: EventFilter, rows_max| {
        let events = ledger.events(&filter, rows_max).await.unwrap();
        (
            events.last().map_or(0, |event| event.no),
            events.into_iter().map(|event| event.why).collect::<Vec<_>>().join(" "),
        )
    };
    assert_eq!(whys(EventFilter::default(), 100).await.1, "0 1 2 3 4 5");
    assert_eq!(whys(EventFilter { job: Some(ship), ..EventFilter::default() }, 100).await.1, "1 3");
    assert_eq!(whys(EventFilter { since: Some(at(3)), ..EventFilter::default() }, 100).await.1, "3 4 5");
    let (last, page) = whys(EventFilter::default(), 2).await;
    assert_eq!(page, "0 1");
    assert_eq!(whys(EventFilter { after: last, ..EventFilter::default() }, 2).await.1, "2 3");
    assert_eq!(whys(EventFilter { job: Some(books), after: last, ..EventFilter::default() }, 9).await.1, "2 4");
}
