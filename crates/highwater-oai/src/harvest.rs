//! `oai-harvest`: keeps a target in step with a repository by a watermark, not by a window. A round is everything from the
//! watermark on, cut into slices; a slice is fetched into the spool page by page, and loaded once it is whole. Owns the watermark
//! and what a fetched slice makes of an item.
//!
//! The watermark is the repository's own time when the round was first asked for, so a change that came while the round ran is in
//! the next one. It moves only when every slice was fetched to its end.

mod fetch;
mod selected;
mod slices;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::{PassReport, Reason};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use crate::backfill::{Place, open_spool};
use crate::client::{Client, Unasked};
use crate::discover::stop_of;
use crate::filter::TypeFilter;
use crate::identifier::Namespace;
use crate::protocol::{Datestamp, Granularity, Record};
use crate::settings::HarvestSettings;
use crate::spool::{KnownRepository, Spool};
use crate::target::Target;

pub use slices::Slice;

use selected::Selected;

/// The name of the watermark in the ledger that says that anything was harvested; those that a harvest begins at are each of
/// what was selected, see [`Harvest::watermark_name`].
const WATERMARK: &str = "harvested";
/// Records that are loaded together.
const LOAD_ITEMS: usize = 256;
/// Bytes of records that are loaded together, at most and one record more.
const LOAD_BYTES: u64 = 8 * 1024 * 1024;
/// Records for a person that an outcome names.
const NAMED_MAX: usize = 3;

/// Keeps a target in step with a repository.
#[derive(Debug)]
pub struct Harvest {
    settings: HarvestSettings,
    client: Client,
    selected: Selected,
    namespace: Namespace,
    types: TypeFilter,
    target: Target,
    spool_path: PathBuf,
    spool: OnceCell<Spool>,
}

impl Harvest {
    /// A harvest of these settings.
    #[must_use]
    pub fn new(settings: HarvestSettings, place: Place) -> Self {
        let Place { client, target, spool, .. } = place;
        let namespace = Namespace::new(settings.repository.identifier_prefix.as_deref());
        let types = TypeFilter::new(settings.types.as_deref());
        let selected = Selected::of(&settings, &types);
        Self { settings, client, selected, namespace, types, target, spool_path: spool, spool: OnceCell::new() }
    }

    /// The name of the watermark of what is selected: up to it everything is in the target that these settings want, and of what
    /// others want it says nothing.
    #[must_use]
    pub fn watermark_name(&self) -> String {
        format!("{WATERMARK}:{}", self.selected.mark())
    }

    async fn spool(&self, cx: &ReadCx) -> Result<&Spool, Stop> {
        self.spool.get_or_try_init(async || open_spool(&self.spool_path, cx)).await
    }

    /// What the repository says of itself, asked once.
    async fn repository(&self, cx: &ReadCx, spool: &Spool) -> Result<KnownRepository, Stop> {
        let base_url = self.settings.repository.address();
        if let Some(known) = spool.repository(&base_url).await? {
            return Ok(known);
        }
        if cx.pass.is_none() {
            return Err(Stop::checkpoint(Reason::DryRun, "would ask the repository first: nothing is known of it yet"));
        }
        let identify = match self.client.identify(&cx.contacts, &cx.clock).await {
            Ok(identify) => identify,
            Err(Unasked::Stop(stop)) => return Err(stop),
            Err(Unasked::Fault(fault)) => return Err(stop_of(&fault)),
        };
        let known = KnownRepository { granularity: identify.granularity, earliest: identify.earliest };
        spool.set_repository(&base_url, known, cx.clock.now()).await?;
        Ok(known)
    }

    /// Where the round begins.
    async fn begins(&self, cx: &ReadCx, known: KnownRepository) -> Result<(Timestamp, bool), Stop> {
        if let Some(watermark) = cx.watermark(&self.watermark_name()).await? {
            let least = match known.granularity {
                Granularity::Day => Duration::from_secs(86_400),
                Granularity::Second => Duration::from_secs(1),
            };
            let overlap = SignedDuration::try_from(self.settings.overlap.get().max(least)).unwrap_or_default();
            return Ok((watermark.saturating_sub(overlap).unwrap_or(watermark), false));
        }
        if let Some(harvested) = cx.watermark(WATERMARK).await?.filter(|_| cx.pass.is_some()) {
            tracing::warn!(
                %harvested,
                "the repository, the set, the types, `since` or the target are not those of the last harvest: this one begins anew"
            );
        }
        let since = self.settings.since.as_deref().and_then(|since| Datestamp::parse(since).ok());
        Ok((since.unwrap_or(known.earliest).at(), true))
    }

    async fn round(&self, cx: &ReadCx) -> Result<Vec<Slice>, Stop> {
        let spool = self.spool(cx).await?;
        let known = self.repository(cx, spool).await?;
        let (from, first) = self.begins(cx, known).await?;
        if cx.pass.is_some() {
            spool.begin_round(self.selected.mark()).await?;
        }
        Ok(slices::of_round(from, cx.clock.now(), first))
    }

    /// Loads what of a slice is in the spool. Gives what of it is to be tried again.
    async fn load(&self, cx: &ReadCx, spool: &Spool, key: &str) -> Result<Loading, Stop> {
        let mut loading = Loading::default();
        let mut after = None;
        loop {
            let page = spool.slice_records(key, after, LOAD_ITEMS, LOAD_BYTES).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            let (mut done, mut reviews) = (Vec::new(), Vec::new());
            let (mut numbers, mut records): (Vec<u64>, Vec<Record>) = (Vec::new(), Vec::new());
            for (no, record) in page {
                if self.types.refuses(&record).is_some() {
                    loading.filtered += 1;
                    done.push(no);
                } else {
                    loading.deleted += u64::from(record.header.deleted);
                    numbers.push(no);
                    records.push(record);
                }
            }
            let identifiers: Vec<String> = records.iter().map(|record| record.header.identifier.clone()).collect();
            let outcomes = self.target.load(cx, &self.namespace, records).await?;
            for ((no, identifier), outcome) in numbers.into_iter().zip(identifiers).zip(outcomes) {
                match outcome.kind {
                    OutcomeKind::Failed | OutcomeKind::Deferred => loading.again(&identifier, outcome),
                    OutcomeKind::Review => {
                        reviews.push((no, identifier, outcome.detail.unwrap_or_default()));
                        done.push(no);
                    }
                    _ => {
                        loading.loaded += 1;
                        done.push(no);
                    }
                }
            }
            spool.slice_loaded(key, done, reviews).await?;
        }
        let mut after = None;
        loop {
            let page = spool.slice_unread(key, after, LOAD_ITEMS).await?;
            let Some((last, ..)) = page.last() else { return Ok(loading) };
            after = Some(*last);
            self.target.set_aside(cx, page.into_iter().map(|(_, header, why)| (header, why)).collect()).await?;
        }
    }
}

/// What loading a slice came to.
#[derive(Debug, Default)]
struct Loading {
    loaded: u64,
    deleted: u64,
    filtered: u64,
    /// The worst of those that are to be tried again, and how many.
    again: Option<(OutcomeKind, String, u64)>,
}

impl Loading {
    fn again(&mut self, identifier: &str, outcome: Outcome) {
        let why = format!("{identifier}: {}", outcome.detail.unwrap_or_default());
        match &mut self.again {
            None => self.again = Some((outcome.kind, why, 1)),
            Some((kind, first, count)) => {
                if outcome.kind == OutcomeKind::Failed && *kind == OutcomeKind::Deferred {
                    (*kind, *first) = (outcome.kind, why);
                }
                *count += 1;
            }
        }
    }
}

impl Job for Harvest {
    type Item = Slice;
    type Prepared = ();

    async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.target.recover(cx).await
    }

    fn plan(&self, cx: ReadCx) -> impl Stream<Item = Result<Slice, Stop>> + Send {
        stream::once(async move {
            match self.round(&cx).await {
                Ok(slices) => stream::iter(slices.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(stop) => stream::iter(vec![Err(stop)]),
            }
        })
        .flatten()
    }

    async fn prepare(&self, cx: ReadCx, item: Arc<Slice>) -> Result<Attempt<()>, Stop> {
        let spool = self.spool(&cx).await?;
        if spool.round().await?.is_some_and(|round| round != self.selected.mark()) {
            return Err(Stop::Fail(Diagnosis::refusal(
                "HW-OAI-015",
                format!(
                    "the round in hand of {} was begun with other settings: expected the repository, the set, the types, `since` and the target of then",
                    cx.job
                ),
                format!("put them back, or begin a round with these: `highwater worklist {} --replace`", cx.job),
            )));
        }
        self.fetch(&cx, &item).await
    }

    async fn commit(&self, cx: &mut CommitCx, item: &Slice, (): ()) -> Result<Outcome, Stop> {
        let key = item.text();
        let spool = self.spool(&cx.read).await?;
        let loading = self.load(&cx.read, spool, &key).await?;
        if let Some((kind, first, count)) = loading.again {
            return Ok(Outcome::because(kind, format!("{count} records are not loaded; the first: {first}")));
        }
        let (reviews, named) = spool.slice_reviews(&key, NAMED_MAX).await?;
        let mut said = format!("{} records", loading.loaded);
        if loading.deleted > 0 {
            said.push_str(&format!(", {} of them deleted", loading.deleted));
        }
        if loading.filtered > 0 {
            said.push_str(&format!("; {} of other types", loading.filtered));
        }
        if reviews > 0 {
            let named: Vec<_> = named.iter().map(|(identifier, why)| format!("{identifier}: {why}")).collect();
            said.push_str(&format!("; {reviews} for a person to look at: {}", named.join("; ")));
            cx.notes.push(format!("{key}: records for a person to look at: {reviews}; {}", named.join("; ")));
        }
        Ok(Outcome::because(OutcomeKind::Done, said))
    }

    async fn seal(&self, cx: &mut CommitCx, report: &PassReport) -> Result<(), Stop> {
        if report.reason != Reason::Drained {
            return Ok(());
        }
        let spool = self.spool(&cx.read).await?;
        let begun = spool.slices_begun().await?;
        let tally = report.tally.unwrap_or_default();
        // Whole in the spool alone is not enough: a person may have skipped that one, and another was never begun.
        let whole = begun.whole.min(tally.done);
        let lacking = tally.total.saturating_sub(whole + tally.skipped).max(begun.broken);
        let stays = if spool.round().await?.as_deref() != Some(self.selected.mark()) {
            "the round was begun with other settings".to_owned()
        } else if lacking > 0 {
            format!("{lacking} slices were not fetched to their ends")
        } else if begun.undated > 0 {
            "the repository does not say what time it has".to_owned()
        } else {
            String::new()
        };
        if !stays.is_empty() {
            cx.notes.push(format!("the watermark stays where it is: {stays}; the next harvest begins there again"));
            return Ok(());
        }
        let Some(first) = spool.first_response().await? else { return Ok(()) };
        let own = self.watermark_name();
        if cx.read.watermark(&own).await?.is_none() && begun.fetched == 0 {
            cx.notes.push(
                "not one record was found: where there should be some, correct `base-url`, `set` or `since`".to_owned(),
            );
        }
        for name in [own, WATERMARK.to_owned()] {
            if cx.read.watermark(&name).await?.is_none_or(|stands| first > stands) {
                cx.stamp_watermark(name, first);
            }
        }
        Ok(())
    }
}

/// What a fault that may pass by itself makes of a slice: it goes to the back, and the pass ends after what is in hand.
fn put_off(cx: &ReadCx, key: &str, kind: OutcomeKind, why: &(dyn std::error::Error + 'static)) -> Outcome {
    let said = with_causes(why);
    cx.contacts.wind_down(Stop::checkpoint(Reason::Network, format!("{key}: {said}")));
    Outcome::because(kind, said)
}
