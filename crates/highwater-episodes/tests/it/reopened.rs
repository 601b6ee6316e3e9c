//! A round that a person opened again, while others were finished.

use std::fs;
use std::sync::Arc;

use highwater_engine::ledger::{ItemFilter, Who, Word};
use highwater_engine::outcome::OutcomeKind;
use highwater_engine::report::ExitCode;
use highwater_episodes::receive::gate::Off;

use crate::life::Host;
use crate::receive::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn r03_a_round_that_was_opened_again_takes_what_was_finished_since_and_only_then_is_it_drained() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let host = Host::new(&rig);
    host.record("one", "A", None);
    host.drains(1).await;
    fs::remove_dir_all(host.path("shipped/one")).unwrap();
    host.record("one", "B", None);
    let conflict = host.pass().await;
    assert_eq!((conflict.exit, conflict.counts.review), (ExitCode::Drained, 1), "{}", conflict.message);
    let word = Word { at: host.engine.clock.now(), who: Who("alice@a".to_owned()), why: "looked at it".to_owned() };
    let review = ItemFilter::Outcome(OutcomeKind::Review.word().to_owned());
    assert_eq!(host.engine.ledger.retry_items(&host.spec.name, &review, &word).await.unwrap(), 1);
    for id in ["two", "three"] {
        host.record(id, id, None);
    }
    let report = host.pass().await;
    let told = (report.exit, report.counts.done, report.counts.review);
    assert_eq!(told, (ExitCode::Drained, 2, 1), "{}: {:?}", report.message, host.told().await);
    assert_eq!(
        (host.names("episodes"), host.names("shipped")),
        (vec!["one".to_owned()], vec!["three".to_owned(), "two".to_owned()])
    );
}
