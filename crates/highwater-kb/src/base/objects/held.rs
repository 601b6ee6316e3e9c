//! Objects that are in memory and not on the disk. Owns how many of them may be, and whether they ever go there; who reads objects
//! finds them like the others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::content::ContentId;

/// The most objects that wait for each other: each is an open file while they are synced together.
pub(super) const WAITING_MAX: usize = 64;

/// As many bytes of them go to the disk, whatever their number; a larger object never waits.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was stored and is in memory only.
#[derive(Debug)]
pub(in crate::base) struct Held {
    objects: RefCell<BTreeMap<ContentId, Vec<u8>>>,
    bytes: Cell<usize>,
    waits: bool,
}

impl Held {
    /// For a change that is only rehearsed: nothing of it gets to the disk.
    pub(in crate::base) fn forever() -> Self {
        Self { objects: RefCell::default(), bytes: Cell::new(0), waits: false }
    }

    /// For a commit, or a document: it goes to the disk together with what is stored next.
    pub(in crate::base) fn waiting() -> Self {
        Self { waits: true, ..Self::forever() }
    }

    /// Whether it is to go to the disk.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Whether so many bytes of one object may be among it.
    pub(super) fn takes(&self, bytes: u64) -> bool {
        !self.waits || bytes <= WAITING_BYTES_MAX as u64
    }

    pub(in crate::base) fn is_empty(&self) -> bool {
        self.objects.borrow().is_empty()
    }

    /// Whether it is time to bring what waits to the disk.
    pub(super) fn is_full(&self) -> bool {
        self.waits && (self.objects.borrow().len() >= WAITING_MAX || self.bytes.get() >= WAITING_BYTES_MAX)
    }

    pub(super) fn keep(&self, id: ContentId, bytes: Vec<u8>) {
        let more = bytes.len();
        if self.objects.borrow_mut().insert(id, bytes).is_none() {
            self.bytes.set(self.bytes.get() + more);
        }
    }

    pub(super) fn get(&self, id: ContentId) -> Option<Vec<u8>> {
        self.objects.borrow().get(&id).cloned()
    }

    pub(super) fn len_of(&self, id: ContentId) -> Option<usize> {
        self.objects.borrow().get(&id).map(Vec::len)
    }

    /// Does something with each that waits, in the order of their names.
    pub(super) fn each_waiting<E>(&self, mut act: impl FnMut(ContentId, &[u8]) -> Result<(), E>) -> Result<(), E> {
        if !self.waits {
            return Ok(());
        }
        self.objects.borrow().iter().try_for_each(|(id, bytes)| act(*id, bytes))
    }

    /// What waited is on the disk.
    pub(super) fn let_go(&self) {
        if self.waits {
            self.objects.borrow_mut().clear();
            self.bytes.set(0);
        }
    }
}
