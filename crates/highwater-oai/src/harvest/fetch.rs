//! Fetching a slice into the spool: page by page, each page durable with where its list goes on. Owns what becomes of a list that
//! breaks off: it begins anew, and where that does not help the slice is halved.

use std::collections::VecDeque;

use highwater_engine::job::{Attempt, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use jiff::{SignedDuration, Timestamp};

use super::{Harvest, Slice, put_off};
use crate::client::{Entry, Fault, PageEnd, Progress, Unasked, Walk, WalkFault};
use crate::discover::halt;
use crate::protocol::{Datestamp, Granularity, ProtocolError, Record, Request, Selection};
use crate::spool::{KnownRepository, Range, SliceState, Spool, Unread};

/// How often the list of one range begins anew before the range is halved, or given up.
const RESTARTS_MAX: u32 = 1;
/// How often ranges of one slice are halved in one pass.
const HALVINGS_MAX: u32 = 64;

/// What one request came to.
enum Page {
    Read { records: Vec<Record>, reviews: Vec<Unread>, end: PageEnd },
    Refused { error: ProtocolError, response_date: Option<Timestamp> },
}

/// A range whose list cannot go on from where it is.
enum Broken {
    Walk(WalkFault),
    Short { expected: u64, got: u64 },
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Walk(fault) => fault.fmt(f),
            Self::Short { expected, got } => {
                write!(f, "the list ended after {got} records, expected {expected}, as the repository says itself")
            }
        }
    }
}

impl Harvest {
    /// Fetches what of the slice is not in the spool yet.
    pub(super) async fn fetch(&self, cx: &ReadCx, slice: &Slice) -> Result<Attempt<()>, Stop> {
        let key = slice.text();
        let spool = self.spool(cx).await?;
        let known = self.repository(cx, spool).await?;
        let mut state = spool.slice(&key).await?.unwrap_or_else(|| begun(slice));
        let mut halvings = 0;
        while let Some(range) = state.ranges.front() {
            let mut walk = range.walk.clone().unwrap_or_else(|| self.walk(range, known));
            let Some(request) = walk.request() else {
                state.ranges.pop_front();
                continue;
            };
            let is_first = range.walk.is_none() && range.restarts == 0 && state.next_no == 0;
            let page = match self.page(cx, &request).await {
                Ok(page) => page,
                Err(Unasked::Stop(stop)) => return Err(stop),
                Err(Unasked::Fault(fault)) => return faulted(cx, &key, fault),
            };
            let broken = match page {
                Page::Read { records, reviews, end } => {
                    if is_first {
                        state.first_response_at = end.response_date;
                    }
                    match walk.page(&end) {
                        Ok(Progress::ShortOf { expected, got }) if !self.settings.accept_short_list => {
                            Some(Broken::Short { expected, got })
                        }
                        Ok(progress) => {
                            state.next_no += (records.len() + reviews.len()) as u64;
                            state.fetched += records.len() as u64;
                            step(&mut state, walk, progress);
                            spool.set_slice(&key, &state, records, reviews, None).await?;
                            None
                        }
                        Err(fault) => Some(Broken::Walk(fault)),
                    }
                }
                Page::Refused { error, response_date } => match walk.refused(&error) {
                    Ok(Progress::ShortOf { expected, got }) if !self.settings.accept_short_list => {
                        Some(Broken::Short { expected, got })
                    }
                    Ok(progress) => {
                        if is_first {
                            state.first_response_at = response_date;
                        }
                        step(&mut state, walk, progress);
                        spool.set_slice(&key, &state, Vec::new(), Vec::new(), None).await?;
                        None
                    }
                    Err(fault @ WalkFault::Expired { .. }) => Some(Broken::Walk(fault)),
                    Err(fault) => {
                        return Err(halt(&fault, format!("{}: {}", error.code.as_str(), error.message)));
                    }
                },
            };
            if let Some(broken) = broken {
                halvings += 1;
                let may_help = begin_anew(&mut state, known, cx.clock.now());
                keep_anew(spool, &key, &state).await?;
                if !may_help || halvings > HALVINGS_MAX {
                    tracing::warn!(slice = %key, why = %broken, "a list of the slice cannot be read whole; it is tried again later");
                    return Ok(Attempt::Outcome(Outcome::because(OutcomeKind::Failed, broken.to_string())));
                }
                tracing::warn!(slice = %key, why = %broken, "a list of the slice begins anew");
            }
        }
        // Also a slice of which nothing was to be fetched has its row: the watermark asks for it.
        spool.set_slice(&key, &state, Vec::new(), Vec::new(), None).await?;
        Ok(Attempt::Ready(()))
    }

    /// Whether a list from then on is one from the first record on, by what the repository says of itself. It is then asked for
    /// without a beginning: some have records that are older than they say, and some refuse what is earlier than that.
    fn is_from_the_first(&self, from: Timestamp, known: KnownRepository) -> bool {
        self.settings.since.is_none() && from <= known.earliest.at()
    }

    fn walk(&self, range: &Range, known: KnownRepository) -> Walk {
        Walk::records(&Selection {
            metadata_prefix: self.settings.repository.metadata_prefix.clone(),
            set: self.settings.repository.set.clone(),
            from: range
                .from
                .filter(|from| !self.is_from_the_first(*from, known))
                .map(|from| Datestamp::new(from, known.granularity)),
            until: range.until.map(|until| Datestamp::new(until, known.granularity)),
        })
    }

    async fn page(&self, cx: &ReadCx, request: &Request) -> Result<Page, Unasked> {
        let mut answer = self.client.ask(&cx.contacts, &cx.clock, request).await?;
        let (mut records, mut reviews) = (Vec::new(), Vec::new());
        loop {
            match answer.next().await {
                Ok(Some(Entry::Record(record))) => records.push(record),
                Ok(Some(Entry::Unreadable { identifier, header, why })) => reviews.push(Unread {
                    identifier: identifier.unwrap_or_default(),
                    header: header.map(|header| *header),
                    why,
                }),
                Ok(None) => break,
                Err(Fault::Protocol(error)) => {
                    return Ok(Page::Refused { error, response_date: answer.response_date() });
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        let end = answer.end()?;
        cx.contacts.meter().bytes(end.bytes);
        Ok(Page::Read { records, reviews, end })
    }
}

fn begun(slice: &Slice) -> SliceState {
    let range = Range { from: Some(slice.from), until: slice.until, walk: None, restarts: 0, first_no: 0 };
    SliceState { ranges: VecDeque::from([range]), first_response_at: None, fetched: 0, next_no: 0 }
}

/// Goes on after a page: to the next one, or to the next range.
fn step(state: &mut SliceState, walk: Walk, progress: Progress) {
    if progress == Progress::More {
        if let Some(range) = state.ranges.front_mut() {
            range.walk = Some(walk);
        }
        return;
    }
    state.ranges.pop_front();
    if let Some(next) = state.ranges.front_mut() {
        next.first_no = state.next_no;
    }
}

/// The list of the first range begins anew, in halves from the second time on. False when it cannot be halved any more: what is
/// left is to try it again later, from its beginning.
fn begin_anew(state: &mut SliceState, known: KnownRepository, now: Timestamp) -> bool {
    let Some(range) = state.ranges.pop_front() else { return false };
    // The repository's clock may be ahead of ours, and what is newest by it is in the range.
    let now = state.first_response_at.map_or(now, |first| first.max(now));
    state.next_no = range.first_no;
    if range.restarts < RESTARTS_MAX {
        state.ranges.push_front(Range { walk: None, restarts: range.restarts + 1, ..range });
        return true;
    }
    let from = range.from.unwrap_or(known.earliest.at());
    let until = range.until.unwrap_or(now);
    let unit = match known.granularity {
        Granularity::Day => 86_400,
        Granularity::Second => 1,
    };
    let units = (until.as_second() - from.as_second()) / unit;
    if units < 1 {
        state.ranges.push_front(Range { walk: None, ..range });
        return false;
    }
    let end_of_first = from + SignedDuration::from_secs(units / 2 * unit);
    let first = Range { from: Some(from), until: Some(end_of_first), walk: None, ..range.clone() };
    let second = Range { from: Some(end_of_first + SignedDuration::from_secs(unit)), walk: None, ..range };
    state.ranges.push_front(second);
    state.ranges.push_front(first);
    true
}

/// Keeps a range that begins anew; what its list brought so far is forgotten.
async fn keep_anew(spool: &Spool, key: &str, state: &SliceState) -> Result<(), Stop> {
    Ok(spool.set_slice(key, state, Vec::new(), Vec::new(), Some(state.next_no)).await?)
}

/// What an answer that is no list makes of the slice: an outcome, or a stop that leaves it untried.
fn faulted(cx: &ReadCx, key: &str, fault: Fault) -> Result<Attempt<()>, Stop> {
    let outcome = match &fault {
        Fault::Unanswered(_) | Fault::TooSlow { .. } | Fault::Interrupted { .. } => {
            put_off(cx, key, OutcomeKind::Deferred, &fault)
        }
        fault if fault.is_transient() => put_off(cx, key, OutcomeKind::Failed, fault),
        // It may well be another page the next time; one that stays so ends with a person.
        Fault::Malformed { .. } | Fault::TooLarge { .. } => put_off(cx, key, OutcomeKind::Failed, &fault),
        _ => return Err(halt(&fault, fault.evidence())),
    };
    Ok(Attempt::Outcome(outcome))
}
