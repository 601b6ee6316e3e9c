//! The places among the uploads in hand: so many at once, so many of each host, and the bytes that they have announced.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::settings::LimitSettings;
use crate::name::HostId;

/// The places of a receiver.
#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    per_host_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Hosts that hold any.
    by_host: HashMap<HostId, usize>,
    /// Bytes that were announced and are not written.
    announced_bytes: u64,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Crowded {
    /// The host holds as many as it may.
    Host,
    /// As many are held as there are.
    All,
}

/// A place among the uploads, with the bytes that it has announced.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    host: HostId,
    left_bytes: u64,
}

impl Slots {
    pub(super) fn new(limits: &LimitSettings) -> Self {
        Self {
            max: limits.uploads.as_usize(),
            per_host_max: limits.uploads_per_host.as_usize(),
            taken: Mutex::default(),
        }
    }

    /// A place for an upload of a host, of so many bytes.
    pub(super) fn take(self: &Arc<Self>, host: &HostId, bytes: u64) -> Result<Slot, Crowded> {
        let mut taken = self.taken();
        if taken.all >= self.max {
            return Err(Crowded::All);
        }
        if taken.by_host.get(host).is_some_and(|count| *count >= self.per_host_max) {
            return Err(Crowded::Host);
        }
        taken.all += 1;
        *taken.by_host.entry(host.clone()).or_default() += 1;
        taken.announced_bytes = taken.announced_bytes.saturating_add(bytes);
        Ok(Slot { slots: Arc::clone(self), host: host.clone(), left_bytes: bytes })
    }

    /// How many are taken.
    pub(super) fn in_hand(&self) -> usize {
        self.taken().all
    }

    /// What needs to be kept free for those that have theirs.
    pub(super) fn announced_bytes(&self) -> u64 {
        self.taken().announced_bytes
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// These bytes are on the disk now: nothing more needs to be kept free for them.
    pub(super) fn written(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left_bytes);
        self.left_bytes -= bytes;
        let mut taken = self.slots.taken();
        taken.announced_bytes = taken.announced_bytes.saturating_sub(bytes);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        taken.all -= 1;
        taken.announced_bytes = taken.announced_bytes.saturating_sub(self.left_bytes);
        if let Some(count) = taken.by_host.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                taken.by_host.remove(&self.host);
            }
        }
    }
}
