//! Tokens: what a pass may spend, or all passes of a call, and what was spent. Owns that a request is begun only while something is left: what others have in
//! hand counts as they are expected to come out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use highwater_engine::job::Stop;
use highwater_engine::name::PassId;
use highwater_engine::report::Reason;

/// Nothing is left.
const SPENT: &str = "the tokens that may be paid are spent";

/// The tokens of one pass after another, or of all of them.
#[derive(Debug)]
pub(super) struct Purse {
    limit: Option<u64>,
    is_of_a_call: bool,
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
    pub(super) fn new(limit: Option<u64>, is_of_a_call: bool) -> Self {
        Self { limit, is_of_a_call, state: Mutex::default() }
    }

    /// Sets tokens aside for a request of a pass.
    ///
    /// # Errors
    /// [`Stop`] where nothing is left.
    pub(super) fn begin(&self, pass: Option<PassId>, expected: u64) -> Result<Spending<'_>, Stop> {
        let mut state = self.state();
        if state.pass != pass {
            let spent = if self.is_of_a_call { state.spent } else { 0 };
            *state = State { pass, spent, set_aside: 0 };
        }
        if self.limit.is_some_and(|limit| state.spent.saturating_add(state.set_aside) >= limit) {
            return Err(Stop::checkpoint(Reason::BudgetTokens, SPENT));
        }
        state.set_aside = state.set_aside.saturating_add(expected);
        Ok(Spending { purse: self, pass, expected })
    }

    /// What was spent since the pass began, or the call.
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
        let purse = Purse::new(Some(100), false);
        let first = purse.begin(Some(PassId(1)), 60).unwrap();
        let second = purse.begin(Some(PassId(1)), 60).unwrap();
        let spent = Stop::checkpoint(Reason::BudgetTokens, SPENT);
        assert_eq!(purse.begin(Some(PassId(1)), 1).unwrap_err(), spent, "both are in hand");
        second.pay(30);
        first.pay(69);
        assert_eq!(purse.spent(), 99);
        purse.begin(Some(PassId(1)), 60).unwrap().pay(500);
        assert_eq!(purse.begin(Some(PassId(1)), 1).unwrap_err(), spent);
        drop(purse.begin(Some(PassId(2)), 60).unwrap());
        assert_eq!(purse.spent(), 0);
        assert!(Purse::new(None, false).begin(None, u64::MAX).is_ok());
    }
    #[test]
    fn the_passes_of_a_call_share_what_it_may_spend() {
        let purse = Purse::new(Some(100), true);
        purse.begin(Some(PassId(1)), 60).unwrap().pay(60);
        purse.begin(Some(PassId(2)), 60).unwrap().pay(40);
        assert_eq!(purse.spent(), 100);
        let spent = Stop::checkpoint(Reason::BudgetTokens, SPENT);
        assert_eq!(purse.begin(Some(PassId(3)), 1).unwrap_err(), spent);
    }
}
