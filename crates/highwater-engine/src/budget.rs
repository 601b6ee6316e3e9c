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

/// A contact that is set aside for one who waits; who gives up waiting gives it back.
#[derive(Debug)]
#[must_use]
pub struct ContactAside<'m>(&'m Meter);

impl ContactAside<'_> {
    /// The contact is made, and spent.
    pub fn made(self) {
        std::mem::forget(self);
    }
}

impl Drop for ContactAside<'_> {
    fn drop(&mut self) {
        self.0.contacts.fetch_sub(1, Ordering::Relaxed);
    }
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

    /// Sets a contact aside, which is spent once it is [made](ContactAside::made).
    ///
    /// # Errors
    /// The reason to end with when contacts are spent.
    pub fn contact(&self, budget: &Budget) -> Result<ContactAside<'_>, Reason> {
        Self::spend(&self.contacts, budget.contacts, Reason::BudgetContacts)?;
        Ok(ContactAside(self))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_that_is_not_made_is_given_back() {
        let budget = Budget { contacts: Some(1), ..Budget::default() };
        let meter = Meter::default();
        let aside = meter.contact(&budget);
        assert_eq!(meter.contact(&budget).err(), Some(Reason::BudgetContacts), "it is taken while someone waits");
        drop(aside);
        assert_eq!(meter.spent().contacts, 0);
        meter.contact(&budget).map(ContactAside::made).ok();
        assert_eq!((meter.spent().contacts, meter.contact(&budget).err()), (1, Some(Reason::BudgetContacts)));
    }
}
