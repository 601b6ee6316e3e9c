//! What a provider serves. Owns the interface; [`Memory`](super::Memory) and the catalogue are behind it.

use std::error::Error;

use async_trait::async_trait;

use crate::protocol::{Datestamp, MetadataFormat, OAI_DC, Record, Selection, SetInfo};

/// Where a record stands in every list: by datestamp, then by a number that it keeps for life.
pub type Position = (Datestamp, i64);

/// What a repository says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Whom to write to; the protocol asks for one at least.
    pub admin_emails: Vec<String>,
    /// No record is older. Its granularity is the repository's.
    pub earliest: Datestamp,
}

/// A repository that cannot answer now.
#[derive(Debug, thiserror::Error)]
#[error("the repository cannot answer")]
pub struct RepositoryError(#[source] Box<dyn Error + Send + Sync>);

impl RepositoryError {
    /// For this reason.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Records, in an order that holds while they change: one that changes moves to the end, and no other moves.
///
/// Deleted records stay, as headers.
#[async_trait]
pub trait Repository: Send + Sync + 'static {
    /// What it says of itself.
    ///
    /// # Errors
    /// [`RepositoryError`], as of every other function here: it cannot answer.
    async fn identify(&self) -> Result<Identity, RepositoryError>;

    /// Its sets, all at once; none: it has no hierarchy of sets.
    async fn sets(&self) -> Result<Vec<SetInfo>, RepositoryError>;

    /// Its formats; `oai_dc` is always among them.
    async fn formats(&self) -> Result<Vec<MetadataFormat>, RepositoryError>;

    /// How many records a list has.
    ///
    /// Here and in [`page`](Self::page), `from` and `until` are to the second, whatever the granularity: compare moments
    /// ([`Datestamp::at`]), both included. A set holds the records of the sets below it ([`in_set`]).
    async fn count(&self, select: &Selection) -> Result<u64, RepositoryError>;

    /// At most `limit` records of a list in order of position, those beyond `after`.
    async fn page(
        &self,
        select: &Selection,
        after: Option<Position>,
        limit: usize,
        with_metadata: bool,
    ) -> Result<Vec<(Position, Record)>, RepositoryError>;

    /// One record, without metadata where it is deleted or not to be had in this format.
    async fn record(&self, identifier: &str, metadata_prefix: &str) -> Result<Option<Record>, RepositoryError>;
}

/// Whether a record of the set `spec` is in the set `wanted`: they are the same, or `spec` is below it.
#[must_use]
pub fn in_set(spec: &str, wanted: &str) -> bool {
    spec.strip_prefix(wanted).is_some_and(|below| below.is_empty() || below.starts_with(':'))
}

/// The format that every repository has.
#[must_use]
pub fn oai_dc() -> MetadataFormat {
    MetadataFormat {
        prefix: OAI_DC.to_owned(),
        schema: "http://www.openarchives.org/OAI/2.0/oai_dc.xsd".to_owned(),
        namespace: "http://www.openarchives.org/OAI/2.0/oai_dc/".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_itself_and_what_is_below_it_and_not_what_only_begins_alike() {
        for (spec, wanted, is_in) in [
            ("books", "books", true),
            ("books:law", "books", true),
            ("books:law:public", "books:law", true),
            ("books", "books:law", false),
            ("bookshops", "books", false),
        ] {
            assert_eq!(in_set(spec, wanted), is_in, "{spec} in {wanted}");
        }
    }
}
