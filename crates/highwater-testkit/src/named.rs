//! The plainest work: items that are their keys, for jobs of which only the passes matter.

use futures::{Stream, stream};
use highwater_engine::job::{Stop, WorkItem};
use highwater_engine::name::ItemKey;

/// An item that is its key.
#[derive(Debug, Clone)]
pub struct Named(ItemKey);

impl Named {
    /// The key as text.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.as_str()
    }
}

impl WorkItem for Named {
    fn key(&self) -> ItemKey {
        self.0.clone()
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(key: &ItemKey, _: &[u8]) -> Result<Self, String> {
        Ok(Self(key.clone()))
    }
}

/// A plan of fixed names.
///
/// # Panics
/// When a name cannot be a key.
pub fn names(
    names: impl IntoIterator<Item = impl Into<String>, IntoIter: Send>,
) -> impl Stream<Item = Result<Named, Stop>> + Send {
    stream::iter(names.into_iter().map(|name| Ok(Named(ItemKey::new(name).expect("a test's name can be a key")))))
}
