//! The rest between two passes, which a person's word ends: a ban that is lifted, a halt or a pause that is over. Owns how often the
//! ledger is looked at for that; how long the rest is otherwise is said by who rests.

use std::time::Duration;

use highwater_engine::name::ResourceName;
use highwater_engine::pass::Engine;
use highwater_engine::report::Reason;
use highwater_engine::spec::JobSpec;

/// Between two looks at the ledger, in seconds.
const LOOK_SECS: u64 = 3;

/// Ends when what kept the last pass from working no longer stands; never where it was no word that kept it.
///
/// A ledger that cannot be read releases nothing: the next pass says so.
pub(in super::super) async fn released(engine: &Engine, spec: &JobSpec, reason: Reason) {
    if !matches!(reason, Reason::BannedUntil | Reason::Halted | Reason::Paused) {
        return std::future::pending().await;
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
