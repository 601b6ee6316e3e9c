//! SIGTERM and SIGINT: the first ends a pass after what is in hand, the second at once. Owns the listening.

use highwater_engine::contact::StopSignal;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Raises the stop signal whenever a signal comes.
pub(crate) fn listen() -> StopSignal {
    raised_by(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
}

/// The same for a server, which takes SIGHUP as a word to read its files again.
pub(crate) fn listen_as_server() -> StopSignal {
    raised_by(&[SignalKind::interrupt(), SignalKind::terminate()])
}

/// Ends with the next SIGHUP; never where it cannot be listened for.
pub(crate) async fn next_hangup(signals: &mut Option<Signal>) {
    let came = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending().await
    }
}

/// Listens for SIGHUP.
pub(crate) fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup()).ok()
}

fn raised_by(kinds: &[SignalKind]) -> StopSignal {
    let stop = StopSignal::default();
    for kind in kinds.iter().copied() {
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
