//! The signal that a person wants a pass to end, and how urgently. Owns its steps; who heeds it is said where it is heeded.

use std::sync::Arc;

use tokio::sync::watch;

/// How urgently a pass is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Urgency {
    /// Not at all.
    #[default]
    None,
    /// After what is in hand.
    Soon,
    /// At once; still recoverable.
    Now,
}

/// The signal that a person wants the pass to end: SIGTERM and SIGINT raise it, a second one raises it further.
#[derive(Debug, Clone)]
pub struct StopSignal(Arc<watch::Sender<Urgency>>);

impl Default for StopSignal {
    fn default() -> Self {
        Self(Arc::new(watch::channel(Urgency::None).0))
    }
}

impl StopSignal {
    /// Raises it by one step.
    pub fn raise(&self) {
        self.0.send_modify(|urgency| {
            *urgency = if *urgency == Urgency::None { Urgency::Soon } else { Urgency::Now };
        });
    }

    /// How urgent it is now.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        *self.0.borrow()
    }

    /// Ends once it is at least this urgent.
    pub async fn raised(&self, urgency: Urgency) {
        let mut changes = self.0.subscribe();
        // The sender is ours, so it cannot be gone.
        let _ = changes.wait_for(|now| *now >= urgency).await;
    }
}
