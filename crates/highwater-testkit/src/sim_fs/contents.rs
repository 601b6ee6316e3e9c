//! The bytes of a file, shared by every disk that was copied from one: a disk is copied at each crash, and almost nothing on it has
//! changed since. Owns that they are copied only to be changed, and hashed once.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// The bytes of a file.
#[derive(Clone, Default)]
pub struct Contents(Arc<Shared>);

#[derive(Clone, Default)]
struct Shared {
    bytes: Vec<u8>,
    hash: OnceLock<u64>,
}

impl Contents {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Shared { bytes, hash: OnceLock::new() }))
    }

    /// The bytes, to be changed for this disk alone.
    pub(super) fn to_mut(&mut self) -> &mut Vec<u8> {
        let shared = Arc::make_mut(&mut self.0);
        shared.hash = OnceLock::new();
        &mut shared.bytes
    }

    fn digest(&self) -> u64 {
        *self.0.hash.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.0.bytes.hash(&mut hasher);
            hasher.finish()
        })
    }
}

impl Deref for Contents {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

impl Eq for Contents {}

impl Hash for Contents {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes.fmt(f)
    }
}
