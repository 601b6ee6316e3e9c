//! The walk: a slice, cut into parts that each take about as long as they should. Owns their size; what is done with a part is
//! the caller's.
//!
//! A slice that is quicker than one part should be leaves room: then its last part goes on into the slices **ahead**, by the same
//! transaction: each reads the tables that are joined anew, and of many short ones that is most of what they do. What was computed
//! ahead is known to this pass alone, which holds the lock; a slice that begins with it is computed from its end on. What changes
//! meanwhile is in the queues, as it is of a slice that is done.

use std::sync::PoisonError;
use std::time::Duration;

use highwater_db::session::{Dialect, Fault, FaultKind, Session, Value};
use highwater_engine::batch::{BatchBounds, BatchSize, Halved};
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use jiff::{SignedDuration, Timestamp};

use super::Rollup;
use crate::declare::Grain;
use crate::recompute::{self, Span};
use crate::settings::Subject;
use crate::window::Window;

/// What the first part of a seed takes, in seconds of events; on SQLite, where nobody knows yet how long it will keep the
/// application from writing.
const FIRST_PART_SQLITE_SECS: u64 = 6 * 3600;
/// The same on PostgreSQL.
const FIRST_PART_SECS: u64 = 7 * 86_400;
/// What one part takes at most, in seconds of events.
const PART_SECS_MAX: u64 = 400 * 86_400;

impl Rollup {
    /// One slice.
    pub(super) async fn slice(&self, cx: &mut CommitCx, from: Timestamp, to: Timestamp) -> Result<Outcome, Stop> {
        let subject = self.in_hand(cx).await?;
        let ahead = self.take_ahead().filter(|ahead| ahead.from == from);
        if let Some(ahead) = ahead.filter(|ahead| ahead.to >= to) {
            self.keep_ahead(Span { from: to, to: ahead.to });
            self.count(0);
            return Ok(Outcome::because(OutcomeKind::Done, "by the transaction of a slice before it"));
        }
        let from = ahead.map_or(from, |ahead| ahead.to);
        // A window of somebody's own is told of no time after its slice.
        let farthest = if matches!(subject, Subject::Declared(_)) { Timestamp::MAX } else { to };
        let (rows, end) = self.walk_on(cx, &subject, Span { from, to }, farthest, None).await?;
        self.keep_ahead(Span { from: to, to: end });
        Ok(touched(rows))
    }

    /// What was computed of the slices that come next, which is then forgotten.
    pub(super) fn take_ahead(&self) -> Option<Span> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep_ahead(&self, span: Span) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = (span.from < span.to).then_some(span);
    }

    /// Recomputes everything between two times, part by part, each in a transaction of its own; the last of them stamps, where
    /// there is something to stamp. Gives how many rows were touched.
    pub(super) async fn walk(
        &self,
        cx: &mut CommitCx,
        subject: &Subject,
        span: Span,
        stamp: Option<Timestamp>,
    ) -> Result<u64, Stop> {
        Ok(self.walk_on(cx, subject, span, span.to, stamp).await?.0)
    }

    /// The same, where the last part may go on as far as `farthest`. Gives also where it ended.
    async fn walk_on(
        &self,
        cx: &mut CommitCx,
        subject: &Subject,
        span: Span,
        farthest: Timestamp,
        stamp: Option<Timestamp>,
    ) -> Result<(u64, Timestamp), Stop> {
        let read = cx.read.clone();
        let mut lent = self.lent(cx).await?;
        let session = lent.session();
        let (mut at, mut rows) = (span.from, 0);
        // Also where a person set the size: one that a time-out cuts off comes to nothing.
        let mut timed_out_above = u64::MAX;
        let grain = subject.grain();
        let mut size = self.part(grain);
        while at < span.to {
            let secs = share_of(&read, size.size()).await?.min(timed_out_above);
            let end = at.checked_add(SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX)));
            // A part ends where a bucket does.
            let end = end.map_or(span.to, |end| grain.begin(end)).min(farthest);
            let part = Span { from: at, to: if end > at { end } else { bucket_after(grain, at).min(span.to) } };
            let begun = read.clock.elapsed();
            let is_last = part.to >= span.to;
            match self.part_of(session, subject, part, stamp.filter(|_| is_last)).await {
                Ok(touched) => {
                    rows += touched;
                    at = part.to;
                    let took = read.clock.elapsed().saturating_sub(begun);
                    size.took(seconds(part), took);
                    self.keep_part(&size);
                    if !is_last {
                        rest(&read, self.settings.sleep.get()).await?;
                    }
                }
                Err(fault) => {
                    session.rollback().await.ok();
                    if fault.kind != FaultKind::TimedOut || size.timed_out(seconds(part)) == Halved::AtMinimum {
                        let doing = format!("the slice {}/{}", part.from, part.to);
                        return Err(self.stop(&doing, &fault));
                    }
                    timed_out_above = seconds(part) / 2;
                    tracing::info!(part.from = %part.from, part.to = %part.to, "the database's time-out came first: the part is split in two");
                }
            }
        }
        self.count(rows);
        Ok((rows, at))
    }

    /// One part, in one transaction.
    async fn part_of(
        &self,
        session: &mut dyn Session,
        subject: &Subject,
        part: Span,
        stamp: Option<Timestamp>,
    ) -> Result<u64, Fault> {
        session.begin().await?;
        let rows = match subject {
            Subject::Declared(declaration) => recompute::span(session, declaration, part).await?,
            Subject::Window(window, _) => window.run(session, part.from, part.to).await?,
        };
        if let (Some(stamp), Subject::Window(window, _)) = (stamp, subject) {
            window.watermark.stamp(session, stamp).await?;
        }
        session.commit().await?;
        Ok(rows)
    }

    pub(super) fn grain(&self) -> Grain {
        self.subject.grain()
    }

    fn part(&self, grain: Grain) -> BatchSize {
        let known = *self.part_secs.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match self.dialect() {
            Dialect::Sqlite => FIRST_PART_SQLITE_SECS,
            Dialect::Postgres => FIRST_PART_SECS,
        };
        let least = u64::try_from(grain.secs()).unwrap_or(1);
        let target = self.settings.slice_target().get();
        BatchSize::new(BatchBounds { target, min: least, max: PART_SECS_MAX }, known.unwrap_or(first))
    }

    fn keep_part(&self, size: &BatchSize) {
        *self.part_secs.lock().unwrap_or_else(PoisonError::into_inner) = Some(size.size());
    }
}

impl Window {
    /// Recomputes everything between two times, in the transaction that is open; gives how many rows it says it touched.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn run(&self, session: &mut dyn Session, from: Timestamp, to: Timestamp) -> Result<u64, Fault> {
        let values = [Value::from(from.to_string()), Value::from(to.to_string())];
        let row = session.first(&self.window_sql, &values).await?;
        Ok(row.and_then(|row| row.first().and_then(Value::int)).and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
    }
}

/// How much of a slice the next transaction takes, in seconds of events: as much as a person set, else as much of `secs` as the
/// throttle leaves. Waits while the throttle is closed.
async fn share_of(read: &ReadCx, secs: u64) -> Result<u64, Stop> {
    let share = read.clear().await?;
    Ok(match read.steering().slice {
        Some(slice) => slice.as_secs(),
        // `as` holds what is too large at the end of the range; a part is never less than a bucket.
        None => (secs as f64 * share) as u64,
    })
}

/// The end of the bucket that a time is in.
fn bucket_after(grain: Grain, at: Timestamp) -> Timestamp {
    grain.begin(at).checked_add(SignedDuration::from_secs(grain.secs())).unwrap_or(Timestamp::MAX)
}

fn seconds(part: Span) -> u64 {
    u64::try_from(part.to.as_second() - part.from.as_second()).unwrap_or(0)
}

pub(super) fn touched(rows: u64) -> Outcome {
    Outcome::because(OutcomeKind::Done, format!("{rows} rows"))
}

async fn rest(read: &ReadCx, pause: Duration) -> Result<(), Stop> {
    if !pause.is_zero() {
        read.rest(pause).await?;
    }
    Ok(())
}
