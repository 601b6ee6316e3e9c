//! The feed of a drain: open items in plan order. Owns what is read ahead and when that is thrown away; what becomes of an item is
//! the pipeline's.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{AbortOnDrop, Drain};
use crate::job::{Job, Stop};
use crate::ledger::{LedgerError, OpenItem};

/// Items read from the ledger at a time.
const FEED_ITEMS: usize = 256;

/// Reads open items in plan order, a page ahead, and reads again when something may have changed.
pub(super) struct Feed<'d, J: Job> {
    drain: &'d Drain<J>,
    page: VecDeque<OpenItem>,
    /// The page after this one, being read.
    ahead: Option<AbortOnDrop<Result<Vec<OpenItem>, LedgerError>>>,
    last: Option<(u32, u64)>,
    version: u64,
    /// Items begun so far.
    pub(super) number: u64,
    /// The version at which the list was last gone through to its end.
    pub(super) left_at: Option<u64>,
}

impl<'d, J: Job> Feed<'d, J> {
    pub(super) fn new(drain: &'d Drain<J>) -> Self {
        Self { drain, page: VecDeque::new(), ahead: None, last: None, version: 0, number: 0, left_at: None }
    }

    /// Whether something was read ahead.
    pub(super) fn is_empty(&self) -> bool {
        self.page.is_empty()
    }

    /// The next one, once nothing is in the way of beginning it.
    pub(super) async fn next(&mut self) -> Result<Option<OpenItem>, Stop> {
        let contacts = &self.drain.cx.contacts;
        let control = contacts.control_lately().await?;
        contacts.obey(&control)?;
        if control.version != self.version {
            // A person may have skipped what was read ahead.
            self.page.clear();
            self.ahead = None;
            self.version = control.version;
        }
        if self.page.is_empty() {
            match self.ahead.take() {
                Some(mut ahead) => match (&mut ahead.0).await {
                    Ok(page) => self.take(page?),
                    // It broke off: what it says when it is read here is told.
                    Err(_) => self.fill().await?,
                },
                None => self.fill().await?,
            }
        }
        let next = self.page.pop_front();
        if let Some(item) = &next {
            self.last = Some((item.rank, item.position));
        }
        Ok(next)
    }

    /// Reads from the beginning again.
    pub(super) async fn begin_anew(&mut self) -> Result<(), Stop> {
        self.last = None;
        self.fill().await
    }

    async fn fill(&mut self) -> Result<(), Stop> {
        self.ahead = None;
        let drain = self.drain;
        let page = drain.ledger.open_items(drain.worklist, drain.pass, self.last, FEED_ITEMS).await?;
        self.take(page);
        Ok(())
    }

    /// Goes on with a page, and has the next one read meanwhile.
    fn take(&mut self, page: Vec<OpenItem>) {
        self.ahead = page.last().map(|last| {
            let after = Some((last.rank, last.position));
            let (ledger, worklist, pass) = (Arc::clone(&self.drain.ledger), self.drain.worklist, self.drain.pass);
            AbortOnDrop(tokio::spawn(async move { ledger.open_items(worklist, pass, after, FEED_ITEMS).await }))
        });
        self.page = page.into();
    }
}
