//! The plan of a backfill: from a crawl, a snapshot or a file of identifiers to what is missing, in order. Owns what is refused.

use std::path::PathBuf;

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::settings::WorklistFormat;
use highwater_engine::exec::source::WorklistFile;
use highwater_engine::job::{ReadCx, Stop, WorkItem as _};
use highwater_engine::report::Reason;
use highwater_engine::worklist::Input;
use jiff::Timestamp;

use super::{Backfill, MissingRecord, PlanFrom};
use crate::identifier::{IDENTIFIER_BYTES_MAX, beginning};
use crate::reports;
use crate::snapshot;
use crate::spool::{Crawl, Spool};

/// Identifiers that are read from the spool at a time.
const PAGE_ITEMS: usize = 1000;

impl Backfill {
    pub(super) fn planned(&self, cx: ReadCx) -> impl Stream<Item = Result<MissingRecord, Stop>> + Send {
        stream::once(async move {
            match &self.settings.ids {
                Some(path) => self.listed_in(path.to_path_buf()).boxed(),
                None => match self.difference(&cx).await {
                    Ok(spool) => missing(spool).boxed(),
                    Err(stop) => stream::iter([Err(stop)]).boxed(),
                },
            }
        })
        .flatten()
    }

    /// Crawls as far as it must, compares, and leaves what is missing in the spool.
    async fn difference(&self, cx: &ReadCx) -> Result<Spool, Stop> {
        let spool = self.spool(cx).await?.clone();
        self.target.look(cx).await?;
        match &self.plan_from {
            PlanFrom::Newest => {}
            PlanFrom::NewCrawl => spool.forget_crawls().await?,
            PlanFrom::Snapshot(files) => {
                let now = cx.clock.now();
                snapshot::import(&spool, &self.crawling, files.clone(), now).await.map_err(Stop::Fail)?;
            }
        }
        if cx.pass.is_none() && spool.newest_crawl().await?.is_none_or(|crawl| crawl.finished_at.is_none()) {
            return Err(Stop::checkpoint(Reason::DryRun, "would crawl the repository's identifiers first"));
        }
        let oldest = cx.clock.now() - jiff::SignedDuration::try_from(self.settings.crawl_age.get()).unwrap_or_default();
        let crawl = self.crawling.finished(cx, &self.crawler, &spool, oldest).await?;
        self.refuse(cx, &crawl)?;
        let misshapen = self.target.read_have(cx, &spool, &self.crawling.namespace).await?;
        if misshapen > 0 {
            tracing::warn!(misshapen, "identifiers of the target have no shape that an identifier may have");
        }
        let difference = spool.compare(crawl.id, self.settings.order, &self.types.wanted()).await?;
        tracing::info!(?difference, "compared");
        if cx.pass.is_some() {
            reports::keep(&spool, &crawl, &difference, &self.reports_dir).await?;
        }
        Ok(spool)
    }

    /// What of a crawl means that the repository is not what it was.
    fn refuse(&self, cx: &ReadCx, crawl: &Crawl) -> Result<(), Diagnosis> {
        let base_url = &crawl.new.base_url;
        if crawl.listed == 0 {
            return Err(Diagnosis::refusal(
                "HW-OAI-010",
                format!("the crawl of {base_url} found no header at all; expected at least one"),
                "check `base-url` and `set`: with an empty list everything here would look like an orphan",
            ));
        }
        let recognised = crawl.listed - crawl.unrecognised;
        let share = recognised as f64 / crawl.listed as f64;
        if recognised == 0 || share < self.settings.min_recognised.fraction() {
            return Err(Diagnosis::refusal(
                "HW-OAI-011",
                format!(
                    "{recognised} of {} identifiers of {base_url} are of the shape \"{}…\" without white space, expected {} of them; the first that are not: {}",
                    crawl.listed,
                    self.crawling.namespace.prefix(),
                    self.settings.min_recognised,
                    named(crawl)
                ),
                "where the namespace moved correct `repository.identifier-prefix`, and look whether the target's identifiers moved too; \
                 where these few are to be left out lower `min-recognised`",
            ));
        }
        if crawl.unrecognised > 0 {
            tracing::warn!(
                first = %named(crawl),
                "{} of {} identifiers are not of the shape \"{}…\" without white space, and are not drained",
                crawl.unrecognised,
                crawl.listed,
                self.crawling.namespace.prefix()
            );
        }
        if let Some(promised) = crawl.short_of.filter(|_| !self.settings.accept_short_list) {
            return Err(Diagnosis::refusal(
                "HW-OAI-012",
                format!(
                    "the list of {base_url} ended after {} headers, expected {promised}, as it says itself",
                    crawl.listed
                ),
                format!(
                    "crawl again with `highwater oai discover {} --recrawl`; where the repository only counts wrong, set `accept-short-list = true`",
                    cx.job
                ),
            ));
        }
        Ok(())
    }

    fn listed_in(&self, path: PathBuf) -> impl Stream<Item = Result<MissingRecord, Stop>> + Send + use<> {
        let namespace = self.crawling.namespace.clone();
        let (lines, read) = tokio::sync::mpsc::channel(PAGE_ITEMS);
        tokio::task::spawn_blocking(move || {
            let list = WorklistFile::new(path.clone(), WorklistFormat::Lines, None, false);
            let items = match list.items() {
                Ok(items) => items,
                Err(diagnosis) => return drop(lines.blocking_send(Err(Stop::Fail(diagnosis)))),
            };
            for listed in items {
                let item = listed.map_err(Stop::Fail).and_then(|listed| {
                    let key = listed.item.key();
                    match namespace.local_or_bare(key.as_str()) {
                        Some(local) => MissingRecord::new(local),
                        None => Err(Stop::Fail(
                            Diagnosis::refusal(
                                "HW-OAI-006",
                                format!(
                                    "found {:?}, expected an identifier of at most {IDENTIFIER_BYTES_MAX} bytes without white space",
                                    beginning(key.as_str())
                                ),
                                "correct the line; the worklist is not pinned",
                            )
                            .in_file(&path)
                            .at_line(listed.line),
                        )),
                    }
                });
                let failed = item.is_err();
                if lines.blocking_send(item).is_err() || failed {
                    return;
                }
            }
        });
        stream::unfold(read, async |mut read| Some((read.recv().await?, read)))
    }
}

/// The first identifiers of another shape, each as the text that it is: what is wrong with one may be its white space.
fn named(crawl: &Crawl) -> String {
    let named: Vec<_> =
        crawl.unrecognised_named.iter().map(|identifier| format!("{:?}", beginning(identifier))).collect();
    named.join(", ")
}

/// What the spool says is missing, in order.
fn missing(spool: Spool) -> impl Stream<Item = Result<MissingRecord, Stop>> + Send {
    stream::try_unfold((spool, 0u64), async |(spool, after)| {
        let page = spool.missing_page(after, PAGE_ITEMS).await?;
        let Some((last, _)) = page.last() else { return Ok::<_, Stop>(None) };
        let last = *last;
        let items: Vec<_> = page.iter().map(|(_, local)| MissingRecord::new(local)).collect();
        Ok(Some((stream::iter(items), (spool, last))))
    })
    .try_flatten()
}

/// The given file, hashed.
pub(super) async fn input(path: PathBuf, known: Option<Input>, now: Timestamp) -> Result<Input, Stop> {
    let list = WorklistFile::new(path, WorklistFormat::Lines, None, false);
    match tokio::task::spawn_blocking(move || list.input(known.as_ref(), now)).await {
        Ok(input) => Ok(input?),
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}
