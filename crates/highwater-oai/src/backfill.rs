//! `oai-backfill`: drains what a target lacks of a repository, record by record. Owns the plan (what is missing, in which order,
//! and what of a crawl is refused) and what an answer makes of a record.

mod plan;
mod take_over;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use highwater_engine::diagnosis::with_causes;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use highwater_engine::worklist::Input;
use tokio::sync::OnceCell;

use crate::client::{Client, Endpoint, Fault, GetRecord, Unasked};
use crate::discover::Crawling;
use crate::filter::TypeFilter;
use crate::identifier::number;
use crate::protocol::{ErrorCode, Record};
use crate::settings::BackfillSettings;
use crate::snapshot::SnapshotFiles;
use crate::spool::Spool;
use crate::target::Target;

pub use take_over::{OldState, TakeOver};

/// What a refusal without `Retry-After` means while a crawl lists identifiers, in seconds.
const CRAWL_FALLBACK_BAN_SECS: u64 = 3600;

/// What the next plan is made from; it is brought under the job's locks, for a pass may be crawling into the same spool.
#[derive(Debug, Clone, Default)]
pub enum PlanFrom {
    /// The crawl that is there where it is recent enough, else a new one.
    #[default]
    Newest,
    /// A new crawl.
    NewCrawl,
    /// A snapshot, in place of the crawl that is there.
    Snapshot(SnapshotFiles),
}

/// Drains what a target lacks.
#[derive(Debug)]
pub struct Backfill {
    settings: BackfillSettings,
    plan_from: PlanFrom,
    client: Client,
    /// The same repository, where a refusal without `Retry-After` means a longer wait.
    crawler: Client,
    crawling: Crawling,
    types: TypeFilter,
    target: Target,
    spool_path: PathBuf,
    reports_dir: PathBuf,
    spool: OnceCell<Spool>,
}

/// A record that is missing, by what comes after the repository's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRecord {
    key: ItemKey,
}

impl MissingRecord {
    pub(super) fn new(local: &str) -> Result<Self, Stop> {
        let key = ItemKey::new(local).map_err(|error| {
            Stop::Fail(highwater_engine::diagnosis::Diagnosis::refusal(
                "HW-OAI-006",
                error.to_string(),
                "correct the list; the worklist is not pinned",
            ))
        })?;
        Ok(Self { key })
    }

    pub(super) fn local(&self) -> &str {
        self.key.as_str()
    }
}

impl WorkItem for MissingRecord {
    fn key(&self) -> ItemKey {
        self.key.clone()
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(key: &ItemKey, _: &[u8]) -> Result<Self, String> {
        Ok(Self { key: key.clone() })
    }
}

/// Where a backfill works, besides its settings.
#[derive(Debug)]
pub struct Place {
    /// Asks the repository.
    pub client: Client,
    /// Takes the records.
    pub target: Target,
    /// The file of its spool.
    pub spool: PathBuf,
    /// The directory of its reports.
    pub reports: PathBuf,
}

impl Backfill {
    /// A backfill of these settings.
    #[must_use]
    pub fn new(settings: BackfillSettings, place: Place) -> Self {
        let Place { client, target, spool, reports } = place;
        let crawler = Client::new(Endpoint {
            fallback_ban: Some(Duration::from_secs(CRAWL_FALLBACK_BAN_SECS)),
            ..client.endpoint().clone()
        });
        let crawling = Crawling::of(&settings.repository);
        let types = TypeFilter::new(settings.types.as_deref());
        Self {
            settings,
            plan_from: PlanFrom::Newest,
            client,
            crawler,
            crawling,
            types,
            target,
            spool_path: spool,
            reports_dir: reports,
            spool: OnceCell::new(),
        }
    }

    /// The same, which plans from this.
    #[must_use]
    pub fn planning_from(self, plan_from: PlanFrom) -> Self {
        Self { plan_from, ..self }
    }

    /// Its spool; made at the first use, never by a dry run.
    async fn spool(&self, cx: &ReadCx) -> Result<&Spool, Stop> {
        self.spool.get_or_try_init(async || open_spool(&self.spool_path, cx)).await
    }

    /// What an answer that is no record makes of the item: an outcome, or a stop that leaves it untried.
    fn faulted(cx: &ReadCx, item: &MissingRecord, fault: &Fault) -> Result<Outcome, Stop> {
        let said = with_causes(fault);
        let kind = match fault {
            Fault::Unanswered(_) | Fault::TooSlow { .. } | Fault::Interrupted { .. } => OutcomeKind::Deferred,
            // The record's own: what it is will not change by asking again.
            Fault::Malformed { .. } | Fault::TooLarge { .. } => {
                return Ok(Outcome::because(OutcomeKind::Review, said));
            }
            fault if fault.is_transient() => OutcomeKind::Failed,
            _ => {
                return Err(Stop::Halt {
                    why: format!("{said}, where {} was asked for", item.local()),
                    evidence: fault.evidence(),
                    until: None,
                });
            }
        };
        // The far side is unwell: the pass ends after what is in hand, and this record goes to the back.
        cx.contacts.wind_down(Stop::checkpoint(Reason::Network, format!("{}: {said}", item.local())));
        Ok(Outcome::because(kind, said))
    }
}

pub(crate) fn open_spool(path: &std::path::Path, cx: &ReadCx) -> Result<Spool, Stop> {
    if cx.pass.is_none() && !path.exists() {
        return Err(Stop::checkpoint(Reason::DryRun, "would ask the repository first: nothing is known of it yet"));
    }
    Ok(Spool::open(path, cx.clock.now())?)
}

impl Job for Backfill {
    type Item = MissingRecord;
    type Prepared = Box<Record>;

    async fn input(&self, cx: &ReadCx, known: Option<&Input>) -> Result<Option<Input>, Stop> {
        match &self.settings.ids {
            Some(path) => Ok(Some(plan::input(path.to_path_buf(), known.cloned(), cx.clock.now()).await?)),
            None => Ok(None),
        }
    }

    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.target.recover(cx).await
    }

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<MissingRecord, Stop>> + Send {
        self.planned(cx)
    }

    fn in_scope(&self, item: &MissingRecord) -> bool {
        let number = number(item.local());
        self.settings.number_min.is_none_or(|min| number >= min.get())
            && self.settings.number_max.is_none_or(|max| number <= max.get())
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<MissingRecord>) -> Result<Attempt<Box<Record>>, Stop> {
        let identifier = self.crawling.namespace.whole(item.local());
        // One that was tried may be half loaded: it is loaded again rather than taken for whole.
        let namespace = &self.crawling.namespace;
        if !cx.tried && self.target.has(&cx, self.spool(&cx).await?, namespace, item.local()).await? {
            return Ok(Attempt::Outcome(Outcome::plain(OutcomeKind::Present)));
        }
        let asked =
            self.client.get_record(&cx.contacts, &cx.clock, &identifier, &self.settings.repository.metadata_prefix);
        let gone = |why: &str| Ok(Attempt::Outcome(Outcome::because(OutcomeKind::Gone, why)));
        match asked.await {
            Ok(GetRecord::Found(record)) => match self.types.refuses(&record) {
                None => Ok(Attempt::Ready(Box::new(record))),
                Some(why) => {
                    let spool = self.spool(&cx).await?;
                    spool.add_filtered(item.local().to_owned(), why.clone(), &self.types.wanted()).await?;
                    Ok(Attempt::Outcome(Outcome::because(OutcomeKind::Done, format!("not loaded: {why}"))))
                }
            },
            Ok(GetRecord::Deleted(_)) => gone("deleted"),
            Ok(GetRecord::NoMetadata(_)) => gone("the repository has no metadata of it"),
            Ok(GetRecord::Missing(error)) if error.code == ErrorCode::IdDoesNotExist => gone("idDoesNotExist"),
            Ok(GetRecord::Missing(error)) => gone(error.code.as_str()),
            Ok(GetRecord::Unreadable { why }) => Ok(Attempt::Outcome(Outcome::because(OutcomeKind::Review, why))),
            Err(Unasked::Stop(stop)) => Err(stop),
            Err(Unasked::Fault(fault)) => Self::faulted(&cx, &item, &fault).map(Attempt::Outcome),
        }
    }

    fn weight(&self, ready: &Box<Record>) -> u64 {
        ready.metadata.as_ref().map_or(0, |metadata| metadata.len() as u64)
    }

    async fn commit(&self, cx: &mut CommitCx, _: &MissingRecord, ready: Box<Record>) -> Result<Outcome, Stop> {
        let mut outcomes = self.target.load(&cx.read, &self.crawling.namespace, vec![*ready]).await?;
        Ok(outcomes.pop().unwrap_or_else(Outcome::done))
    }
}
