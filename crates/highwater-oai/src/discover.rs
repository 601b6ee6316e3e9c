//! Discovering: a crawl of all identifiers, resumable at every page, and the difference between it and what a target has. Owns
//! what is refused of a crawl; how a list goes on is the client's, and where it is kept the spool's.

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::name::JobName;
use highwater_engine::report::Reason;
use jiff::Timestamp;

use crate::client::{Client, Entry, Fault, PageEnd, Progress, Unasked, Walk, WalkFault};
use crate::identifier::Namespace;
use crate::protocol::{Header, Record, Request, Selection};
use crate::settings::RepositorySettings;
use crate::spool::{Crawl, CrawlSource, Listed, NewCrawl, Spool};

/// How often a crawl begins anew in one pass because its list broke off for good.
const RESTARTS_MAX: u32 = 2;

/// What is to be crawled.
#[derive(Debug, Clone)]
pub struct Crawling {
    /// The repository.
    pub base_url: String,
    /// The format.
    pub metadata_prefix: String,
    /// The set; empty for all.
    pub set: String,
    /// What identifiers begin with.
    pub namespace: Namespace,
}

impl Crawling {
    /// What a job's settings name.
    #[must_use]
    pub fn of(repository: &RepositorySettings) -> Self {
        Self {
            base_url: repository.address(),
            metadata_prefix: repository.metadata_prefix.clone(),
            set: repository.set.clone().unwrap_or_default(),
            namespace: Namespace::new(repository.identifier_prefix.as_deref()),
        }
    }

    fn is_of(&self, crawl: &Crawl) -> bool {
        let NewCrawl { base_url, metadata_prefix, set, .. } = &crawl.new;
        (base_url, metadata_prefix, set) == (&self.base_url, &self.metadata_prefix, &self.set)
    }

    fn walk(&self) -> Walk {
        Walk::identifiers(&Selection {
            metadata_prefix: self.metadata_prefix.clone(),
            set: Some(self.set.clone()).filter(|set| !set.is_empty()),
            from: None,
            until: None,
        })
    }

    /// A crawl that came to its end: the newest if it is of this list and not older than `oldest`, else a new one, or the rest of
    /// one that a pass left.
    ///
    /// # Errors
    /// [`Stop`] for a ban, a signal, a budget or a repository that does not answer: the next pass goes on with the next page.
    pub async fn finished(
        &self,
        cx: &ReadCx,
        client: &Client,
        spool: &Spool,
        oldest: Timestamp,
    ) -> Result<Crawl, Stop> {
        let newest = spool.newest_crawl().await?.filter(|crawl| self.is_of(crawl));
        let mut crawl = match newest {
            // A snapshot is planned from until another takes its place, or a crawl is asked for.
            Some(crawl)
                if crawl.finished_at.is_some_and(|at| at >= oldest || crawl.new.source == CrawlSource::Snapshot) =>
            {
                return Ok(crawl);
            }
            Some(crawl) if crawl.finished_at.is_none() && crawl.new.source == CrawlSource::Crawl => crawl,
            _ => self.begin(cx, spool).await?,
        };
        let mut restarts = 0;
        loop {
            match self.page(cx, client, spool, &crawl).await? {
                Paged::More(next) => crawl = *next,
                Paged::End(finished) => return Ok(*finished),
                Paged::BrokenOff(fault) => {
                    restarts += 1;
                    if restarts > RESTARTS_MAX {
                        return Err(halt(
                            &fault,
                            format!("it began anew {RESTARTS_MAX} times in this pass, and broke off again"),
                        ));
                    }
                    tracing::warn!(why = %fault, "the list of identifiers begins anew");
                    spool.restart_crawl(crawl.id).await?;
                    crawl = spool.newest_crawl().await?.ok_or_else(lost)?;
                }
            }
        }
    }

    async fn begin(&self, cx: &ReadCx, spool: &Spool) -> Result<Crawl, Stop> {
        let now = cx.clock.now();
        let new = NewCrawl {
            name: crawl_name(now, &cx.job),
            source: CrawlSource::Crawl,
            base_url: self.base_url.clone(),
            metadata_prefix: self.metadata_prefix.clone(),
            set: self.set.clone(),
        };
        spool.begin_crawl(new, now).await?;
        spool.newest_crawl().await?.ok_or_else(lost)
    }

    /// Reads one page, and keeps it with where the list goes on.
    async fn page(&self, cx: &ReadCx, client: &Client, spool: &Spool, crawl: &Crawl) -> Result<Paged, Stop> {
        let mut walk = crawl.walk.clone().unwrap_or_else(|| self.walk());
        let Some(request) = walk.request() else {
            // Killed between its last page and its end.
            return self.finish(cx, spool, crawl, None).await;
        };
        let page = match self.headers(cx, client, &request).await {
            Ok(page) => page,
            Err(Unasked::Stop(stop)) => return Err(stop),
            Err(Unasked::Fault(Fault::Protocol(error))) => {
                return match walk.refused(&error) {
                    Ok(progress) => self.finish(cx, spool, crawl, short_of(progress)).await,
                    Err(fault @ WalkFault::Expired { .. }) => Ok(Paged::BrokenOff(fault)),
                    Err(fault) => Err(halt(&fault, format!("{}: {}", error.code.as_str(), error.message))),
                };
            }
            Err(Unasked::Fault(fault)) => return Err(stop_of(&fault)),
        };
        let Page { headers, unrecognised, end } = page;
        let progress = match walk.page(&end) {
            Ok(progress) => progress,
            Err(fault) => return Ok(Paged::BrokenOff(fault)),
        };
        let next = spool.add_page(crawl, headers, unrecognised, &walk, end.response_date).await?;
        match progress {
            Progress::More => Ok(Paged::More(Box::new(next))),
            ended => self.finish(cx, spool, &next, short_of(ended)).await,
        }
    }

    async fn finish(&self, cx: &ReadCx, spool: &Spool, crawl: &Crawl, short: Option<u64>) -> Result<Paged, Stop> {
        spool.finish_crawl(crawl.id, short, cx.clock.now()).await?;
        Ok(Paged::End(Box::new(spool.newest_crawl().await?.ok_or_else(lost)?)))
    }

    async fn headers(&self, cx: &ReadCx, client: &Client, request: &Request) -> Result<Page, Unasked> {
        let mut answer = client.ask(&cx.contacts, &cx.clock, request).await?;
        let (mut headers, mut unrecognised) = (Vec::new(), Vec::new());
        while let Some(entry) = answer.next().await? {
            match entry {
                Entry::Record(Record { header: Header { identifier, deleted, .. }, .. }) => {
                    match self.namespace.local(&identifier) {
                        Some(local) => headers.push(Listed { local: local.to_owned(), deleted }),
                        None => unrecognised.push(identifier),
                    }
                }
                Entry::Unreadable { identifier, why, .. } => {
                    unrecognised.push(identifier.unwrap_or_else(|| format!("a header that cannot be read: {why}")));
                }
            }
        }
        let end = answer.end()?;
        cx.contacts.meter().bytes(end.bytes);
        Ok(Page { headers, unrecognised, end })
    }
}

/// What a page came to.
enum Paged {
    More(Box<Crawl>),
    End(Box<Crawl>),
    /// The list cannot go on from there: it begins anew.
    BrokenOff(WalkFault),
}

struct Page {
    headers: Vec<Listed>,
    unrecognised: Vec<String>,
    end: PageEnd,
}

fn short_of(progress: Progress) -> Option<u64> {
    match progress {
        Progress::ShortOf { expected, .. } => Some(expected),
        Progress::More | Progress::Complete { .. } => None,
    }
}

/// What a list that cannot be read makes of the pass: one that may pass by itself is for the next pass, any other for a person.
pub(crate) fn stop_of(fault: &Fault) -> Stop {
    if fault.is_transient() {
        Stop::checkpoint(Reason::Network, with_causes(fault))
    } else {
        halt(fault, fault.evidence())
    }
}

pub(crate) fn halt(fault: &(dyn std::error::Error + 'static), evidence: String) -> Stop {
    Stop::Halt { why: format!("the repository's list cannot be read: {}", with_causes(fault)), evidence, until: None }
}

fn lost() -> Stop {
    Stop::Fail(Diagnosis::failure(
        "HW-OAI-001",
        "the crawl is not in the spool any more",
        "call again: it begins anew; no other program may change that file",
    ))
}

/// What snapshots of a crawl are called by: the job and when it began.
fn crawl_name(at: Timestamp, job: &JobName) -> String {
    format!("{job}-{}", at.strftime("%Y%m%dT%H%M%SZ"))
}
