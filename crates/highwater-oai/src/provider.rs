//! The provider: serves a repository over HTTP as OAI-PMH 2.0 asks, and badly where a fault says so. Owns how requests are
//! checked, answered, paged, written and limited; neither the records, which a [`Repository`] has, nor the command line.
//!
//! A request passes the rooms in this order: `endpoint` reads it, `arguments` checks it, `answer` asks the repository
//! (`token` says where a list goes on), `xml` writes it, and `faults` meddle in between.
//!
//! # Source
//! <https://www.openarchives.org/OAI/openarchivesprotocol.html>

mod answer;
mod arguments;
mod endpoint;
mod faults;
mod log;
mod memory;
mod rate;
mod repository;
mod serve;
mod token;
mod xml;

use std::sync::Arc;
use std::time::Duration;

pub use endpoint::{BODY_BYTES_MAX, PATH, QUERY_BYTES_MAX, router};
pub use faults::{FaultError, FaultRule, Faults};
pub use log::{LOG_REQUESTS_MAX, ProviderLog, Served};
pub use memory::{Generated, Memory};
pub use rate::Rate;
pub use repository::{Identity, Position, Repository, RepositoryError, in_set, oai_dc};
pub use serve::{CONNECTIONS_MAX, STOP_SECS, serve};
pub use token::TokenKey;
pub use xml::record_document;

/// How many records a page has unless told otherwise.
pub const PAGE_RECORDS: usize = 100;
/// A page has no more records than this, whatever is told.
pub const PAGE_RECORDS_MAX: usize = 10_000;

/// How a provider serves.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Where it says that it is asked; `None`: wherever it was asked, by the request's own `Host` and path.
    pub base_url: Option<String>,
    /// How many records a page has, from 1 to [`PAGE_RECORDS_MAX`].
    pub page_size: usize,
    /// How long a resumption token is good for; `None`: for ever.
    pub token_life: Option<Duration>,
    /// What tokens are signed with.
    pub token_key: TokenKey,
    /// How much it answers; `None`: as much as it is asked.
    pub rate: Option<Rate>,
    /// Where requests are counted.
    pub log: Arc<ProviderLog>,
    /// What goes wrong, on purpose.
    pub faults: Faults,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        Self {
            base_url: None,
            page_size: PAGE_RECORDS,
            token_life: None,
            token_key: TokenKey::default(),
            rate: None,
            log: Arc::default(),
            faults: Faults::default(),
        }
    }
}
