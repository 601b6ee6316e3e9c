//! A catalogue as a repository: what `oai serve` serves. Owns nothing but the translation.

use async_trait::async_trait;

use crate::catalog::{Catalog, CatalogError};
use crate::protocol::{Datestamp, Granularity, MetadataFormat, OAI_DC, Record, Selection, SetInfo};
use crate::provider::{Identity, Position, Repository, RepositoryError, oai_dc};

/// A catalogue that is served.
#[derive(Debug, Clone)]
pub struct ServedCatalog {
    catalog: Catalog,
    name: String,
    admin_emails: Vec<String>,
}

impl ServedCatalog {
    /// Serves `catalog` under this name.
    #[must_use]
    pub fn new(catalog: Catalog, name: impl Into<String>, admin_emails: Vec<String>) -> Self {
        Self { catalog, name: name.into(), admin_emails }
    }
}

impl From<CatalogError> for RepositoryError {
    fn from(error: CatalogError) -> Self {
        Self::new(error)
    }
}

#[async_trait]
impl Repository for ServedCatalog {
    async fn identify(&self) -> Result<Identity, RepositoryError> {
        let empty = Datestamp::new(jiff::Timestamp::UNIX_EPOCH, Granularity::Second);
        let earliest = self.catalog.earliest().await?.unwrap_or(empty);
        Ok(Identity {
            name: self.name.clone(),
            admin_emails: self.admin_emails.clone(),
            earliest: Datestamp::new(earliest.at(), Granularity::Second),
        })
    }

    async fn sets(&self) -> Result<Vec<SetInfo>, RepositoryError> {
        Ok(self.catalog.sets().await?)
    }

    async fn formats(&self) -> Result<Vec<MetadataFormat>, RepositoryError> {
        Ok(vec![oai_dc()])
    }

    async fn count(&self, select: &Selection) -> Result<u64, RepositoryError> {
        Ok(self.catalog.count(select).await?)
    }

    async fn page(
        &self,
        select: &Selection,
        after: Option<Position>,
        limit: usize,
        with_metadata: bool,
    ) -> Result<Vec<(Position, Record)>, RepositoryError> {
        let (mut records, mut after) = (Vec::new(), after);
        loop {
            let page = self.catalog.records(select, after, limit - records.len(), with_metadata).await?;
            for damaged in &page.damaged {
                tracing::warn!(%damaged, "a damaged record is left out of a list");
            }
            records.extend(page.records);
            // A page of damaged records is not the end of the list.
            after = page.next;
            if after.is_none() || records.len() >= limit {
                return Ok(records);
            }
        }
    }

    async fn record(&self, identifier: &str, metadata_prefix: &str) -> Result<Option<Record>, RepositoryError> {
        let record = self.catalog.record(identifier).await?;
        Ok(record.map(|record| match metadata_prefix {
            OAI_DC => record,
            _ => Record { metadata: None, ..record },
        }))
    }
}
