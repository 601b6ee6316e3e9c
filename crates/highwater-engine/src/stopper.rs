//! Why a pass stops. Owns the reason that counts of several, and that everybody who waits learns of it at once.

use std::sync::Arc;

use tokio::sync::watch;

use crate::job::Stop;
use crate::report::Reason;

/// Remembers why the pass stops; it winds down once there is a reason.
#[derive(Debug, Clone)]
pub(crate) struct Stopper(Arc<watch::Sender<Option<Known>>>);

/// A reason that is known.
#[derive(Debug)]
struct Known {
    stop: Stop,
    /// What is in hand may not come to its end.
    breaks_off: bool,
}

impl Default for Stopper {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

impl Stopper {
    /// What is in hand is broken off, unless it is only that the budget is spent or the throttle closed.
    pub(crate) fn stop(&self, stop: Stop) {
        self.say(Known { breaks_off: !lets_finish(&stop), stop });
    }

    /// What is in hand comes to its end.
    pub(crate) fn wind_down(&self, stop: Stop) {
        self.say(Known { breaks_off: false, stop });
    }

    /// Of several reasons the first counts, but one that lets what is in hand finish gives way to one that does not.
    fn say(&self, new: Known) {
        self.0.send_if_modified(|known| {
            let counts = known.as_ref().is_none_or(|known| new.breaks_off && !known.breaks_off);
            if counts {
                *known = Some(new);
            }
            counts
        });
    }

    pub(crate) fn stopped(&self) -> Option<Stop> {
        self.0.borrow().as_ref().map(|known| known.stop.clone())
    }

    /// Whether no item is to begin any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Whether what is in hand may not come to its end.
    pub(crate) fn breaks_off(&self) -> bool {
        self.0.borrow().as_ref().is_some_and(|known| known.breaks_off)
    }

    /// Ends once no item is to begin any more.
    pub(crate) async fn winds_down(&self) {
        self.wait_for(|_| true).await;
    }

    /// Ends once what is in hand may not come to its end, with the reason.
    pub(crate) async fn broken_off(&self) -> Stop {
        self.wait_for(|known| known.breaks_off).await
    }

    async fn wait_for(&self, so: impl Fn(&Known) -> bool) -> Stop {
        let mut changes = self.0.subscribe();
        let stopped = changes.wait_for(|known| known.as_ref().is_some_and(&so)).await;
        let known = stopped.expect("invariant: the sender is ours");
        known.as_ref().map(|known| known.stop.clone()).expect("invariant: there is a reason")
    }
}

fn lets_finish(stop: &Stop) -> bool {
    let Stop::Checkpoint { reason, .. } = stop else { return false };
    matches!(
        reason,
        Reason::BudgetItems
            | Reason::BudgetContacts
            | Reason::BudgetBytes
            | Reason::BudgetTime
            | Reason::BudgetTokens
            | Reason::Throttled
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts_unless_a_later_one_breaks_off_what_is_in_hand() {
        let stopper = Stopper::default();
        assert_eq!((stopper.stopped(), stopper.breaks_off()), (None, false));
        let spent = |reason| Stop::checkpoint(reason, "spent");
        stopper.stop(spent(Reason::BudgetItems));
        stopper.stop(spent(Reason::BudgetTime));
        assert_eq!((stopper.stopped(), stopper.breaks_off()), (Some(spent(Reason::BudgetItems)), false));
        stopper.wind_down(Stop::checkpoint(Reason::Network, "no answer"));
        assert_eq!(stopper.stopped(), Some(spent(Reason::BudgetItems)));
        stopper.stop(Stop::Halted);
        stopper.stop(spent(Reason::Paused));
        stopper.stop(spent(Reason::BudgetItems));
        assert_eq!((stopper.stopped(), stopper.breaks_off()), (Some(Stop::Halted), true));
    }

    #[tokio::test]
    async fn who_waits_learns_of_it_whether_it_comes_before_or_after() {
        let stopper = Stopper::default();
        let waiting = tokio::spawn({
            let stopper = stopper.clone();
            async move { stopper.broken_off().await }
        });
        stopper.stop(Stop::checkpoint(Reason::BudgetItems, "spent"));
        stopper.winds_down().await;
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "what is in hand is finished");
        stopper.stop(Stop::Halted);
        assert_eq!(waiting.await.ok(), Some(Stop::Halted));
        assert_eq!(stopper.broken_off().await, Stop::Halted);
    }
}
