//! Bans, epochs, holders and tickets.

use highwater_engine::ledger::Ticket;
use highwater_engine::name::LockEpoch;

use super::Home;
use super::world::{World, an_end, at, begin_pass, job_name, resource_name, word};

pub(crate) async fn a_resource_is_there_once_it_is_named(home: &dyn Home) {
    let ledger = home.open().await;
    for name in ["receiver", "endpoint", "receiver"] {
        let record = ledger.resource(&resource_name(name)).await.unwrap();
        assert_eq!((record.epoch, record.holder, record.ban), (LockEpoch(0), None, None));
    }
    let names: Vec<String> = ledger.resources().await.unwrap().into_iter().map(|r| r.name.to_string()).collect();
    assert_eq!(names, ["endpoint", "receiver"]);
}

pub(crate) async fn r02_a_ban_is_only_extended(home: &dyn Home) {
    let ledger = home.open().await;
    let endpoint = resource_name("endpoint");
    assert_eq!(ledger.extend_ban(&endpoint, at(100), &word(0, "429")).await.unwrap().until, at(100));
    assert_eq!(ledger.extend_ban(&endpoint, at(50), &word(1, "shorter")).await.unwrap().why, "429");
    assert_eq!(ledger.extend_ban(&endpoint, at(100), &word(2, "the same")).await.unwrap().why, "429");
    assert_eq!(ledger.extend_ban(&endpoint, at(200), &word(3, "503")).await.unwrap().until, at(200));
    let ban = home.open().await.resource(&endpoint).await.unwrap().ban.unwrap();
    assert_eq!((ban.until, ban.at, ban.why.as_str()), (at(200), at(3), "503"));
    let events = ledger.events(&Default::default(), 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.why.as_str()).collect::<Vec<_>>(), ["429", "503"]);
}

pub(crate) async fn r02_only_lift_shortens_a_ban(home: &dyn Home) {
    let ledger = home.open().await;
    let endpoint = resource_name("endpoint");
    assert!(!ledger.lift_ban(&endpoint, &word(0, "there is none")).await.unwrap());
    ledger.extend_ban(&endpoint, at(100), &word(0, "429")).await.unwrap();
    assert!(!ledger.lift_ban(&endpoint, &word(100, "it is over")).await.unwrap());
    assert!(ledger.lift_ban(&endpoint, &word(99, "they said so")).await.unwrap());
    assert!(ledger.resource(&endpoint).await.unwrap().ban.is_none());
    assert_eq!(ledger.extend_ban(&endpoint, at(50), &word(1, "429")).await.unwrap().until, at(50));
}

pub(crate) async fn r02_eight_writers_at_once_leave_the_latest_ban(home: &dyn Home) {
    const WRITERS: u64 = 8;
    const BANS: u64 = 25;
    let endpoint = resource_name("endpoint");
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (ledger, endpoint) = (home.open().await, endpoint.clone());
        writers.push(tokio::spawn(async move {
            let mut last = at(0);
            for n in 0..BANS {
                // Each goes up and down, and no two ask for the same end.
                let until = at(1000 + (n * 7919 + writer * 104_729) % 5000 * WRITERS + writer);
                let stands = ledger.extend_ban(&endpoint, until, &word(n, "429")).await.unwrap();
                assert!(stands.until >= until.max(last), "a ban was shortened");
                last = stands.until;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let asked = (0..WRITERS).flat_map(|w| (0..BANS).map(move |n| 1000 + (n * 7919 + w * 104_729) % 5000 * WRITERS + w));
    let latest = asked.max().unwrap();
    assert_eq!(home.open().await.resource(&endpoint).await.unwrap().ban.unwrap().until, at(latest));
}

pub(crate) async fn r16_each_taking_of_a_lock_counts_its_epoch_up(home: &dyn Home) {
    let ledger = home.open().await;
    let (job, resource) = (job_name("books"), resource_name("endpoint"));
    for epoch in 1..4 {
        let fence = begin_pass(&*ledger, &job, &resource, epoch).await;
        assert_eq!(fence.epochs, [(resource.clone(), LockEpoch(i64::try_from(epoch).unwrap()))]);
        let holder = ledger.resource(&resource).await.unwrap().holder.unwrap();
        assert_eq!((holder.pass, holder.pid, holder.since), (fence.pass, 42, at(epoch)));
    }
}

pub(crate) async fn a_pass_lets_go_of_what_it_still_holds_and_no_more(home: &dyn Home) {
    let mut world = World::new(home).await;
    let killed = world.fence.pass;
    let takes_over = world.next_pass().await;
    world.ledger.end_pass(killed, &an_end(5)).await.unwrap();
    let held = world.ledger.resource(&world.resource).await.unwrap();
    assert_eq!(held.holder.unwrap().pass, takes_over);
    world.ledger.end_pass(takes_over, &an_end(6)).await.unwrap();
    let let_go = world.ledger.resource(&world.resource).await.unwrap();
    assert_eq!((let_go.holder, let_go.epoch), (None, LockEpoch(2)));
}

pub(crate) async fn tickets_are_listed_oldest_first_until_they_lapse(home: &dyn Home) {
    let ledger = home.open().await;
    let endpoint = resource_name("endpoint");
    let ticket = |job: &str, pid, since, lapses| Ticket {
        job: job_name(job),
        host: "desk".into(),
        pid,
        since: at(since),
        lapses_at: at(lapses),
    };
    let pids = async |now| ledger.tickets(&endpoint, at(now)).await.unwrap().iter().map(|t| t.pid).collect::<Vec<_>>();
    ledger.leave_ticket(&endpoint, &ticket("nightly", 7, 20, 30)).await.unwrap();
    ledger.leave_ticket(&endpoint, &ticket("weekly", 8, 10, 25)).await.unwrap();
    assert_eq!(pids(21).await, [8, 7]);
    assert_eq!(pids(25).await, [7]);
    ledger.leave_ticket(&endpoint, &ticket("weekly", 8, 10, 40)).await.unwrap();
    assert_eq!(pids(29).await, [8, 7]);
    assert_eq!(pids(30).await, [8]);
    assert!(ledger.tickets(&resource_name("other"), at(0)).await.unwrap().is_empty());
    ledger.take_back_ticket(&endpoint, "desk", 8, &job_name("nightly")).await.unwrap();
    assert_eq!(pids(30).await, [8], "another job's ticket is not taken back");
    ledger.take_back_ticket(&endpoint, "desk", 8, &job_name("weekly")).await.unwrap();
    assert!(pids(30).await.is_empty());
}
