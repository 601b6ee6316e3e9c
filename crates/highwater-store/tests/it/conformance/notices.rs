//! Notices: once per change, by one process.

use std::time::Duration;

use highwater_engine::ledger::LedgerFault;

use super::Home;
use super::world::{World, at, fault, job_name};

const LEASE: Duration = Duration::from_secs(60);

pub(crate) async fn a_change_is_queued_once_for_each_target(home: &dyn Home) {
    let world = World::new(home).await;
    let (ledger, job) = (&world.ledger, &world.job);
    assert!(ledger.queue_notice(job, "halted", "event 1", &[0, 2], "{}", at(1)).await.unwrap());
    assert!(!ledger.queue_notice(job, "halted", "event 1", &[0, 2], "{}", at(2)).await.unwrap());
    assert!(ledger.queue_notice(job, "review", "event 1", &[0], "{\"review\":3}", at(3)).await.unwrap());
    assert!(ledger.queue_notice(job, "halted", "event 9", &[1], "{}", at(4)).await.unwrap());
    assert!(ledger.queue_notice(&job_name("ship"), "halted", "event 1", &[0], "{}", at(5)).await.unwrap());
    assert!(ledger.queue_notice(job, "drained", "round 1", &[], "{}", at(6)).await.unwrap());
    assert!(!ledger.queue_notice(job, "drained", "round 1", &[0], "{}", at(7)).await.unwrap(), "the key is remembered");
    let waiting = ledger.notices_waiting().await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|n| (n.job.as_str(), n.change.as_str(), n.target, n.queued_at)).collect();
    assert_eq!(
        waiting,
        [
            ("books", "halted", 0, at(1)),
            ("books", "halted", 2, at(1)),
            ("books", "review", 0, at(3)),
            ("books", "halted", 1, at(4)),
            ("ship", "halted", 0, at(5)),
        ]
    );
    assert_eq!(ledger.notices_waiting().await.unwrap()[2].body, "{\"review\":3}");
}

pub(crate) async fn a_notice_is_claimed_by_one_process(home: &dyn Home) {
    let world = World::new(home).await;
    let other = home.open().await;
    world.ledger.queue_notice(&world.job, "halted", "1", &[0, 1, 2], "{}", at(1)).await.unwrap();
    let two = world.ledger.claim_notices(at(10), LEASE, 2).await.unwrap();
    assert_eq!(two.iter().map(|notice| notice.target).collect::<Vec<_>>(), [0, 1]);
    let rest = other.claim_notices(at(11), LEASE, 10).await.unwrap();
    assert_eq!(rest.iter().map(|notice| notice.target).collect::<Vec<_>>(), [2]);
    assert!(world.ledger.claim_notices(at(12), LEASE, 10).await.unwrap().is_empty());
    world.ledger.settle_notice(two[0].no, at(13), Ok(())).await.unwrap();
    assert_eq!(world.ledger.notices_waiting().await.unwrap().len(), 2);
    let again = other.claim_notices(at(70), LEASE, 10).await.unwrap();
    assert_eq!(again.iter().map(|notice| notice.no).collect::<Vec<_>>(), [two[1].no], "whoever claimed it was killed");
    assert_eq!(fault(world.ledger.settle_notice(two[0].no, at(14), Ok(())).await), LedgerFault::NotThere);
}

pub(crate) async fn a_failed_delivery_is_due_again(home: &dyn Home) {
    let world = World::new(home).await;
    world.ledger.queue_notice(&world.job, "halted", "1", &[0], "{}", at(1)).await.unwrap();
    let no = world.ledger.claim_notices(at(10), LEASE, 10).await.unwrap()[0].no;
    world.ledger.settle_notice(no, at(11), Err(("connection refused".into(), at(100)))).await.unwrap();
    assert!(world.ledger.claim_notices(at(99), LEASE, 10).await.unwrap().is_empty());
    let due = &world.ledger.claim_notices(at(100), LEASE, 10).await.unwrap()[0];
    assert_eq!((due.no, due.attempts, due.last_error.as_deref()), (no, 1, Some("connection refused")));
    world.ledger.settle_notice(no, at(101), Ok(())).await.unwrap();
    assert!(world.ledger.notices_waiting().await.unwrap().is_empty());
    assert!(!world.ledger.queue_notice(&world.job, "halted", "1", &[0], "{}", at(200)).await.unwrap());
}
