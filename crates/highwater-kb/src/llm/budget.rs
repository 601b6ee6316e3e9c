//! Tokens: what a pass may spend, and what it has spent. Owns that a request is begun only while something is left: what others have in
//! hand counts as they are expected to come out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use highwater_engine::job::Stop;
use highwater_engine::name::PassId;
use highwater_engine::report::Reason;

/// The tokens of one pass after another.
#[derive(Debug)]
pub(super) struct Purse {
    limit: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pass: Option<PassId>,
    spent: u64,
    set_aside: u64,
}

/// Tokens that are set aside for a request; what it really cost is [paid](Spending::pay). Dropped unpaid it cost nothing.
#[derive(Debug)]
pub(super) struct Spending<'p> {
    purse: &'p Purse,
    pass: Option<PassId>,
    expected: u64,
}

impl Purse {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Sets tokens aside for a request of a pass.
    ///
    /// # Errors
    /// [`Stop`] where nothing is left.
    pub(super) fn begin(&self, pass: Option<PassId>, expected: u64) -> Result<Spending<'_>, Stop> {
        let mut state = self.state();
        if state.pass != pass {
            *state = State { pass, ..State::default() };
        }
        if self.limit.is_some_and(|limit| state.spent.saturating_add(state.set_aside) >= limit) {
            return Err(Stop::checkpoint(Reason::BudgetTokens, "the pass's tokens are spent"));
        }
        state.set_aside = state.set_aside.saturating_add(expected);
        Ok(Spending { purse: self, pass, expected })
    }

    /// What was spent since the pass began.
    pub(super) fn spent(&self) -> u64 {
        self.state().spent
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spending<'_> {
    /// What the request cost.
    pub(super) fn pay(self, tokens: u64) {
        let mut state = self.purse.state();
        if state.pass == self.pass {
            state.spent = state.spent.saturating_add(tokens);
        }
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        let mut state = self.purse.state();
        if state.pass == self.pass {
            state.set_aside = state.set_aside.saturating_sub(self.expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_while_something_is_left_and_each_pass_begins_anew() {
        let purse = Purse::new(Some(100));
        let first = purse.begin(Some(PassId(1)), 60).unwrap();
        let second = purse.begin(Some(PassId(1)), 60).unwrap();
        let spent = Stop::checkpoint(Reason::BudgetTokens, "the pass's tokens are spent");
        assert_eq!(purse.begin(Some(PassId(1)), 1).unwrap_err(), spent, "both are in hand");
        second.pay(30);
        first.pay(69);
        assert_eq!(purse.spent(), 99);
        purse.begin(Some(PassId(1)), 60).unwrap().pay(500);
        assert_eq!(purse.begin(Some(PassId(1)), 1).unwrap_err(), spent);
        drop(purse.begin(Some(PassId(2)), 60).unwrap());
        assert_eq!(purse.spent(), 0);
        assert!(Purse::new(None).begin(None, u64::MAX).is_ok());
    }
}
