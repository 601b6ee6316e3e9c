//! Filters: which records a job takes. Owns the filter by type (`dc:type`), the same for harvest and backfill.

use crate::catalog::dublin_core;
use crate::protocol::Record;

/// Takes records of some types only.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeFilter(Option<Vec<String>>);

impl TypeFilter {
    /// Only these types, whatever their case; all where absent.
    #[must_use]
    pub(crate) fn new(types: Option<&[String]>) -> Self {
        let mut types = types.map(|types| types.iter().map(|kind| kind.to_lowercase()).collect::<Vec<_>>());
        types.iter_mut().for_each(|types| {
            types.sort_unstable();
            types.dedup();
        });
        Self(types)
    }

    /// The types, a line each; nothing where all are taken. The same for filters that take the same.
    #[must_use]
    pub(crate) fn wanted(&self) -> String {
        self.0.as_ref().map(|types| types.join("\n")).unwrap_or_default()
    }

    /// Why the record is not taken. One without metadata, or whose metadata cannot be read, is: what it is must not be guessed.
    #[must_use]
    pub(crate) fn refuses(&self, record: &Record) -> Option<String> {
        let wanted = self.0.as_ref()?;
        let work = dublin_core::read(record.metadata.as_deref()?).ok()?;
        if work.types.is_empty() {
            return Some(format!("it has no type, and only {} are wanted", wanted.join(", ")));
        }
        let taken = work.types.iter().any(|kind| wanted.contains(&kind.to_lowercase()));
        (!taken).then(|| format!("its type is {}, and only {} are wanted", work.types.join(", "), wanted.join(", ")))
    }
}
