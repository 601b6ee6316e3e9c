//! The budget: what one pass may spend. Owns the meter; who spends is the pass.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::report::{Reason, Spent};

/// What one pass may spend; `None` is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Items begun.
    pub items: Option<u64>,
    /// Contacts made.
    pub contacts: Option<u64>,
    /// Bytes moved.
    pub bytes: Option<u64>,
    /// Time from the pass's begin.
    pub time: Option<Duration>,
}

/// What a pass has spent.
#[derive(Debug, Default)]
pub struct Meter {
    items: AtomicU64,
    contacts: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    fn spend(slot: &AtomicU64, limit: Option<u64>, reason: Reason) -> Result<(), Reason> {
        slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spent| {
            limit.is_none_or(|limit| spent < limit).then_some(spent + 1)
        })
        .map(drop)
        .map_err(|_| reason)
    }

    /// Spends an item.
    ///
    /// # Errors
    /// The reason to end with when items or bytes are spent.
    pub fn item(&self, budget: &Budget) -> Result<(), Reason> {
        if budget.bytes.is_some_and(|limit| self.bytes.load(Ordering::Relaxed) >= limit) {
            return Err(Reason::BudgetBytes);
        }
        Self::spend(&self.items, budget.items, Reason::BudgetItems)
    }

    /// Spends a contact.
    ///
    /// # Errors
    /// The reason to end with when contacts are spent.
    pub fn contact(&self, budget: &Budget) -> Result<(), Reason> {
        Self::spend(&self.contacts, budget.contacts, Reason::BudgetContacts)
    }

    /// Counts bytes that were moved.
    pub fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// What is spent so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        Spent {
            items: self.items.load(Ordering::Relaxed),
            contacts: self.contacts.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
