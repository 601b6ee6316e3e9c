//! Pages of an index in a file. Owns that a page has every row that counts where it was read, or is none; and that one who goes on from a
//! place goes on from what they were told, or is told to begin anew.

use highwater_fs::Fs;

use super::JsonlIndex;
use crate::index::{Cursor, IndexError, PAGE_ROWS_MAX, PAGE_SCAN_BYTES_MAX, Page, PageAsk};

impl<F: Fs> JsonlIndex<F> {
    /// A page; where a row is not where it was, of the file as it is now.
    pub(super) fn page_of(&self, ask: &PageAsk) -> Result<Page, IndexError> {
        if let Some(page) = self.page_as_known(ask)? {
            return Ok(page);
        }
        {
            let mut state = self.current()?;
            let held = self.lock.hold()?;
            self.reread(&mut state, &held)?;
        }
        self.page_as_known(ask)?.ok_or_else(|| self.edited(0))
    }

    /// A page, as far as every row is where it is known to be; `None` where one is not.
    fn page_as_known(&self, ask: &PageAsk) -> Result<Option<Page>, IndexError> {
        let mut rows = self.rows(ask.cursor)?;
        self.is_followed(ask.cursor)?;
        let rows_max = ask.rows_max.clamp(1, PAGE_ROWS_MAX);
        let from = rows.cursor();
        let mut page = Page { next: from, ..Page::default() };
        let mut seen = Vec::new();
        while page.rows.len() < rows_max && page.next.at - from.at < PAGE_SCAN_BYTES_MAX {
            let place = rows.cursor();
            let Some(found) = rows.found()? else {
                page.complete = true;
                break;
            };
            if let Ok(found) = found
                && self.state().places.get(&found.print()) == Some(place.at)
            {
                seen.push(place.at);
                page.rows.extend(found.is_wanted(ask).then(|| found.row()));
            }
            page.next = rows.cursor();
        }
        let until = if page.complete { rows.until } else { page.next.at };
        // It may have been read anew meanwhile, for somebody else.
        self.is_followed(ask.cursor)?;
        let state = self.state();
        page.next.after = Some(state.places.story_before(page.next.at));
        Ok(state.places.are_all_of(from.at..until, &seen).then_some(page))
    }

    /// Whether a list may go on from there: no row is missed, and what lies before it is what it was when the cursor was told.
    fn is_followed(&self, cursor: Cursor) -> Result<(), IndexError> {
        let state = self.state();
        if state.lost.len() > 0 {
            return Err(self.edited(state.lost.len()));
        }
        let is_so = |after| cursor.at <= state.known_bytes && state.places.story_before(cursor.at) == after;
        if cursor.after.is_none_or(is_so) { Ok(()) } else { Err(IndexError::Outdated) }
    }

    fn edited(&self, lost: u64) -> IndexError {
        IndexError::Edited { path: self.fs.locate(&self.path), lost }
    }
}
