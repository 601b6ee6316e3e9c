//! One who looks at a base again and again. Owns the connection that is kept from one look to the next, and when it is given up; what a
//! look sees is a [`Snapshot`]'s.
//!
//! No transaction is open between two looks: one would keep SQLite from shortening its write-ahead log for as long as a pass takes, and
//! would answer of a generation that others have left behind since.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use highwater_db::sqlite::rusqlite::Connection;
use highwater_fs::FileId;

use super::home::Home;
use super::objects::Objects;
use super::snapshot::{Snapshot, opened};
use super::{behind, rows};
use crate::error::KbError;

/// Looks at the newest generation there is at each look, one look at a time. It opens the rows when it first looks, and anew when they
/// are others or a look failed; as long as it lives, they are open.
pub struct Reader {
    home: Arc<dyn Home>,
    kept: Mutex<Option<Kept>>,
}

/// A connection, between two looks.
struct Kept {
    rows: Connection,
    /// The file that it has open.
    which: Option<FileId>,
    /// The generation after which nothing was found that these rows do not tell of.
    head: u32,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("home", &self.home).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens nothing yet.
    pub fn new(home: Arc<dyn Home>) -> Self {
        Self { home, kept: Mutex::default() }
    }

    /// Looks at the newest generation.
    ///
    /// # Errors
    /// As [`Snapshot::open`], and what `look` says.
    pub fn look<T>(&self, look: impl FnOnce(&Snapshot) -> Result<T, KbError>) -> Result<T, KbError> {
        let mut slot = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // What is not put back is opened anew by the next look.
        let Kept { rows, which, head } = self.sound(slot.take())?;
        let snapshot = Snapshot::begin(Arc::clone(&self.home), rows)?;
        let seen = look(&snapshot)?;
        let rows = snapshot.into_rows();
        rows.execute_batch("COMMIT").map_err(|error| rows::told(&rows, "be left", error))?;
        *slot = Some(Kept { rows, which, head });
        Ok(seen)
    }

    /// Lets go of the rows until the next look.
    pub fn let_go(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A connection to the rows that there are, whose newest generation is the newest of the base.
    fn sound(&self, kept: Option<Kept>) -> Result<Kept, KbError> {
        // First which they are: others that come while they are opened are found by the next look.
        let which = self.home.which_rows();
        let (rows, known) = match kept.filter(|kept| kept.which == which) {
            Some(kept) => (kept.rows, Some(kept.head)),
            None => (opened(&*self.home)?, None),
        };
        let head = || Ok(rows::standing(&rows)?.head);
        let now = head()?;
        if known != Some(now) {
            behind::refuse(Objects::new(self.home.fs()), head)?;
        }
        Ok(Kept { rows, which, head: now })
    }
}
