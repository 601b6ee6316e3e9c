//! SIGTERM and SIGINT: the first ends a pass after what is in hand, the second at once. Owns the listening, that a SIGHUP which comes
//! before a server listens for it waits until it does, and that a file which is too large ends nothing.

use highwater_engine::contact::StopSignal;
use nix::sys::signal::{SigSet, Signal as Number};
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

/// Holds SIGHUP back, on this thread and those that it starts: one that comes before there is anybody to listen for it ends nothing.
pub(crate) fn hold_hangups() {
    // Nothing but a number that is no signal is refused.
    let _ = SigSet::from(Number::SIGHUP).thread_block();
}

/// Lets SIGHUP come again, with the one that came meanwhile.
pub(crate) fn let_hangups_come() {
    let _ = SigSet::from(Number::SIGHUP).thread_unblock();
}

/// Listens for SIGHUP, also for the one that was held back.
pub(crate) fn hangups() -> Option<Signal> {
    let signals = signal(SignalKind::hangup()).ok();
    if signals.is_some() {
        let_hangups_come();
    }
    signals
}

/// Lets a write beyond the limit on the size of a file (`ulimit -f`, `LimitFSIZE=`) fail, where SIGXFSZ would end the process without a
/// word: one thing that is too large is refused, and the rest goes on. What listens may go, its handler stays; who is started has none.
pub(crate) fn outlive_file_limit() {
    // Where it cannot be listened for, it is as it was.
    let _ = signal(SignalKind::from_raw(Number::SIGXFSZ as i32));
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
