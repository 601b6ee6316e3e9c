//! SIGTERM and SIGINT: the first ends a pass after what is in hand, the second at once. Owns the listening.

use highwater_engine::contact::StopSignal;
use tokio::signal::unix::{SignalKind, signal};

/// Raises the stop signal whenever a signal comes.
pub(crate) fn listen() -> StopSignal {
    let stop = StopSignal::default();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let Ok(mut signals) = signal(kind) else { continue };
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.raise();
            }
        });
    }
    stop
}
