//! Targets: what records are loaded into. Owns what the jobs ask of one, whichever it is: what it has, whether it has a record,
//! and that it takes records.

mod own_system;

use futures::StreamExt as _;
use highwater_db::sqlite::Error::{Damaged, NotADatabase};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::name::PassId;
use highwater_engine::outcome::{Outcome, OutcomeKind};

use std::path::PathBuf;

use tokio::sync::OnceCell;

use crate::catalog::{Access, Catalog, CatalogError, Loaded};
use crate::identifier::Namespace;
use crate::protocol::{Header, Record};
use crate::spool::{Spool, foreign};

pub use own_system::OwnSystem;

/// Identifiers that are handed to the spool at a time.
const HAVE_BATCH_ITEMS: usize = 1000;

/// A catalogue that is opened at its first use, so that naming one makes nothing.
#[derive(Debug)]
pub struct LazyCatalog {
    path: PathBuf,
    open: OnceCell<Catalog>,
}

impl LazyCatalog {
    /// The catalogue; `None` in a dry run where none is there.
    async fn get(&self, cx: &ReadCx) -> Result<Option<&Catalog>, Stop> {
        if cx.pass.is_none() && !self.path.exists() {
            return Ok(None);
        }
        let access = if cx.pass.is_none() { Access::ReadOnly } else { Access::ReadWrite };
        let open = async || Catalog::open(&self.path, cx.clock.now(), access);
        let opened = self.open.get_or_try_init(open).await;
        Ok(Some(opened.map_err(|error| Stop::Fail(Diagnosis::from(error).in_file(&self.path)))?))
    }
}

/// What records are loaded into.
#[derive(Debug)]
pub enum Target {
    /// The catalogue.
    Catalog(LazyCatalog),
    /// A system of the users' own.
    Own(Box<OwnSystem>),
}

impl Target {
    /// The catalogue at `path`.
    #[must_use]
    pub fn catalog(path: impl Into<PathBuf>) -> Self {
        Self::Catalog(LazyCatalog { path: path.into(), open: OnceCell::new() })
    }

    /// Looks whether it can be told what the target has, so that no crawl is made for nothing. A command is not asked: what it
    /// costs is not known.
    ///
    /// # Errors
    /// [`Stop`] as [`Target::read_have`].
    pub async fn look(&self, cx: &ReadCx) -> Result<(), Stop> {
        match self {
            Self::Catalog(catalog) => catalog.get(cx).await.map(drop),
            Self::Own(own) => own.look(cx).await,
        }
    }

    /// Reads what the target has into the spool. Gives how many identifiers were of no shape that an identifier may have.
    ///
    /// # Errors
    /// [`Stop`] when it cannot be told what it has.
    pub async fn read_have(&self, cx: &ReadCx, spool: &Spool, namespace: &Namespace) -> Result<u64, Stop> {
        let mut misshapen = 0;
        match self {
            Self::Catalog(catalog) => {
                spool.clear_have().await?;
                let mut after: Option<String> = None;
                while let Some(catalog) = catalog.get(cx).await? {
                    let page = catalog.live_ids(after.as_deref(), HAVE_BATCH_ITEMS).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.clone());
                    misshapen += add_have(spool, namespace, page).await?;
                }
            }
            Self::Own(own) => misshapen = list(own, cx, spool, namespace, &mut *own.listed_in().await).await?,
        }
        Ok(misshapen)
    }

    /// Whether the target has this record live, by its identifier after the prefix; a system that can only list what it has is
    /// asked once a pass.
    ///
    /// # Errors
    /// [`Stop`] when it cannot be asked.
    pub async fn has(&self, cx: &ReadCx, spool: &Spool, namespace: &Namespace, local: &str) -> Result<bool, Stop> {
        match self {
            Self::Catalog(catalog) => match catalog.get(cx).await? {
                Some(catalog) => Ok(catalog.is_live(&namespace.whole(local)).await?),
                None => Ok(false),
            },
            Self::Own(own) => {
                let mut listed_in = own.listed_in().await;
                if *listed_in != cx.pass {
                    list(own, cx, spool, namespace, &mut listed_in).await?;
                }
                drop(listed_in);
                Ok(spool.has(local.to_owned()).await?)
            }
        }
    }

    /// Loads records; one outcome each, in order. Idempotent.
    ///
    /// # Errors
    /// [`Stop`] when the target is out of order: then none of those without an outcome is known to be loaded.
    pub async fn load(&self, cx: &ReadCx, namespace: &Namespace, records: Vec<Record>) -> Result<Vec<Outcome>, Stop> {
        match self {
            Self::Catalog(catalog) => {
                let Some(catalog) = catalog.get(cx).await? else { return Ok(Vec::new()) };
                let loaded = catalog.load(records, cx.clock.now()).await?;
                Ok(loaded.into_iter().map(outcome).collect())
            }
            Self::Own(own) => {
                let mut outcomes = Vec::with_capacity(records.len());
                for record in &records {
                    outcomes.push(own.load(cx, namespace, record).await?);
                }
                Ok(outcomes)
            }
        }
    }

    /// Keeps records that cannot be read for a person to look at; a system of the users' own takes none. Idempotent.
    ///
    /// # Errors
    /// [`Stop`] when the target is out of order.
    pub async fn set_aside(&self, cx: &ReadCx, unread: Vec<(Header, String)>) -> Result<(), Stop> {
        match self {
            Self::Catalog(catalog) => match catalog.get(cx).await? {
                Some(catalog) => Ok(catalog.set_aside(unread, cx.clock.now()).await?),
                None => Ok(()),
            },
            Self::Own(_) => Ok(()),
        }
    }

    /// Finishes what a killed pass left running.
    ///
    /// # Errors
    /// [`Stop`] when it does not end.
    pub async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        match self {
            Self::Catalog(_) => Ok(()),
            Self::Own(own) => own.recover(cx).await,
        }
    }
}

impl From<CatalogError> for Diagnosis {
    fn from(error: CatalogError) -> Self {
        if let CatalogError::Database { source: highwater_db::sqlite::Error::Missing { .. }, .. } = &error {
            return Self::refusal(
                "HW-OAI-009",
                "there is no catalogue; expected one that was loaded",
                "run a harvest or a backfill first, or `highwater catalog load FILE…`, or correct `--catalog`",
            );
        }
        if let CatalogError::Database { source, .. } = &error
            && let Some(refusal) =
                foreign("HW-OAI-008", source, with_causes(&error), "name another file; this one is left as it is")
        {
            return refusal;
        }
        if let CatalogError::Database { source: Damaged { .. } | NotADatabase { .. }, .. } = &error {
            return Self::failure(
                "HW-OAI-008",
                with_causes(&error),
                "put the newest of its backups in its place, they lie beside it; without one move it away, and a backfill loads it anew",
            );
        }
        Self::failure(
            "HW-OAI-008",
            with_causes(&error),
            "free space or mend permissions, and call again: what was loaded is loaded",
        )
    }
}

impl From<CatalogError> for Stop {
    fn from(error: CatalogError) -> Self {
        Self::Fail(error.into())
    }
}

fn outcome(loaded: Loaded) -> Outcome {
    match loaded {
        Loaded::New | Loaded::Changed | Loaded::Same | Loaded::Older | Loaded::Deleted | Loaded::AlreadyDeleted => {
            Outcome::done()
        }
        Loaded::Review(why) => Outcome::because(OutcomeKind::Review, why),
    }
}

/// Reads what a system of the users' own has into the spool.
async fn list(
    own: &OwnSystem,
    cx: &ReadCx,
    spool: &Spool,
    namespace: &Namespace,
    listed_in: &mut Option<PassId>,
) -> Result<u64, Stop> {
    *listed_in = None;
    spool.clear_have().await?;
    let mut misshapen = 0;
    let listed = own.have(cx).chunks(HAVE_BATCH_ITEMS);
    futures::pin_mut!(listed);
    while let Some(batch) = listed.next().await {
        let batch = batch.into_iter().collect::<Result<Vec<_>, Stop>>()?;
        misshapen += add_have(spool, namespace, batch).await?;
    }
    *listed_in = cx.pass;
    Ok(misshapen)
}

async fn add_have(spool: &Spool, namespace: &Namespace, batch: Vec<String>) -> Result<u64, Stop> {
    let all = batch.len();
    let locals: Vec<String> = batch.iter().filter_map(|id| namespace.local_or_bare(id)).map(str::to_owned).collect();
    let misshapen = (all - locals.len()) as u64;
    spool.add_have(locals).await?;
    Ok(misshapen)
}
