//! The rest between two passes, which a person's word ends: a ban that is lifted, a halt or a pause that is over, items that are put
//! back, a conflict that is resolved. Owns how often the ledger is looked at for that; how long the rest is otherwise is said by who
//! rests.

use std::time::Duration;

use highwater_engine::ledger::{Event, EventFilter};
use highwater_engine::name::ResourceName;
use highwater_engine::pass::Engine;
use highwater_engine::report::Reason;
use highwater_engine::spec::JobSpec;
use jiff::Timestamp;

/// Between two looks at the ledger, in seconds.
const LOOK_SECS: u64 = 3;
/// Events that one look reads.
const EVENTS_A_LOOK: usize = 100;
/// What a person says who gives a job more to do.
const WAKING_ACTS: [&str; 2] = ["retry", "resolve"];

/// Ends when what kept the last pass from working no longer stands, or where nothing kept it, once a person has given it more to do
/// since this moment, which is when the pass began: what was said meanwhile it may not have seen.
///
/// A ledger that cannot be read releases nothing: the next pass says so.
pub(in super::super) async fn released(engine: &Engine, spec: &JobSpec, reason: Reason, since: Timestamp) {
    if !matches!(reason, Reason::BannedUntil | Reason::Halted | Reason::Paused) {
        return given_more(engine, spec, since).await;
    }
    let resources: Vec<ResourceName> = spec.resources.iter().map(|resource| resource.name.clone()).collect();
    loop {
        engine.clock.sleep(Duration::from_secs(LOOK_SECS)).await;
        let Ok(control) = engine.ledger.control(&spec.name, &resources).await else { continue };
        let now = engine.clock.now();
        let over = match reason {
            Reason::BannedUntil => !control.bans.iter().any(|(_, ban)| ban.stands(now)),
            Reason::Halted => !control.halted,
            _ => !control.paused,
        };
        if over {
            return;
        }
    }
}

/// Ends when a person has given the job more to do.
async fn given_more(engine: &Engine, spec: &JobSpec, since: Timestamp) {
    let mut filter = EventFilter { job: Some(spec.name.clone()), since: Some(since), ..EventFilter::default() };
    loop {
        engine.clock.sleep(Duration::from_secs(LOOK_SECS)).await;
        let Ok(events) = engine.ledger.events(&filter, EVENTS_A_LOOK).await else { continue };
        // A pass puts items back too.
        let is_a_persons = |event: &Event| !event.who.0.starts_with("pass ");
        if events.iter().any(|event| WAKING_ACTS.contains(&event.act.as_str()) && is_a_persons(event)) {
            return;
        }
        filter.after = events.last().map_or(filter.after, |last| last.no);
    }
}
