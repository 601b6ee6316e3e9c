//! The end of a seed, and the tick: what moves the watermark. Owns that the bound is read before the snapshot of what it is
//! stamped with, and that nothing is stamped while a slice is undone.

use std::time::Duration;

use highwater_db::session::{Dialect, Fault, FaultKind, Session};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use jiff::{SignedDuration, Timestamp};

use super::Rollup;
use super::walk::touched;
use crate::bound::{self, Bound};
use crate::declare::Declaration;
use crate::recompute::Span;
use crate::settings::Subject;
use crate::tick::{self, Reach};
use crate::window::Window;
use crate::{drain, recompute, state};

/// Transactions of a tick between two questions whether the pass is to end.
const TRANSACTIONS_AT_ONCE: u32 = 1;

impl Rollup {
    /// What is left of a seed, and the stamp.
    pub(super) async fn finish(
        &self,
        cx: &mut CommitCx,
        (from, of, since): (Option<Timestamp>, Option<Timestamp>, Option<Timestamp>),
        said: &mut Vec<String>,
    ) -> Result<Outcome, Stop> {
        self.refuse_undone(&cx.read).await?;
        let subject = self.in_hand(cx).await?;
        match &subject {
            Subject::Declared(declaration) => self.seeded(cx, declaration, (of, since), said).await,
            Subject::Window(window, _) => {
                let bound = self.bound(cx, said).await?;
                let from = match from {
                    Some(from) => Some(from),
                    // It was empty when the steps were listed, which may have been long ago.
                    None => self.first_event(cx, window).await?,
                };
                let rows = match from {
                    Some(from) if from < bound => {
                        self.walk(cx, &subject, Span { from, to: bound }, Some(bound)).await?
                    }
                    _ => {
                        if from.is_none() {
                            said.push("source_empty: there is no event, and the watermark says so".to_owned());
                        }
                        self.stamp_only(cx, window, bound).await?;
                        0
                    }
                };
                *self.stamped() = Some(bound);
                if let Some(since) = since {
                    let first = self.first_event(cx, window).await?.map_or(since, |first| first.min(since));
                    said.push(format!(
                        "the watermark now claims the buckets before {since:.0} too, and none of them was computed: `rollup guard` takes its \
                         word. `highwater run {} --since {first:.0}` computes them",
                        self.handle
                    ));
                }
                Ok(touched(rows))
            }
        }
    }

    /// Gives a rollup of an older version what its state lacks, under the lock.
    pub(super) async fn bring_up(&self, session: &mut dyn Session) -> Result<(), Stop> {
        let Subject::Declared(declaration) = &self.subject else { return Ok(()) };
        let brought_up = state::bring_up(session, declaration).await.map(drop);
        brought_up.map_err(|fault| match fault.kind {
            FaultKind::Denied => Stop::Fail(Diagnosis::refusal(
                "HW-ROL-003",
                format!("the rollup was installed by an older version: {}", fault.message),
                format!("have the owner of the table run: {}", state::brings_up(session.dialect(), declaration)),
            )),
            _ => self.stop("the state of an older version", &fault),
        })
    }

    /// The beginning of the first bucket that has an event, as the source is now.
    async fn first_event(&self, cx: &mut CommitCx, window: &Window) -> Result<Option<Timestamp>, Stop> {
        let mut lent = self.lent(cx).await?;
        let extent = window.extent(lent.session()).await.map_err(|error| self.unread("`bounds`", error))?;
        Ok(extent.map(|extent| self.grain().begin(extent.first)))
    }

    /// A slice that a person skipped leaves buckets without their events, and no watermark may deny that.
    pub(super) async fn refuse_undone(&self, read: &ReadCx) -> Result<(), Stop> {
        let Some(tally) = read.tally().await? else { return Ok(()) };
        let undone = tally.skipped + tally.review + tally.gone;
        if undone == 0 {
            return Ok(());
        }
        Err(Stop::Halt {
            why: format!("{undone} of the slices were not computed: a watermark would deny it"),
            evidence: format!(
                "put them back with `highwater retry {0} --outcome skipped` (or `review`), then `highwater rearm {0} --why …`",
                self.handle
            ),
            until: None,
        })
    }

    async fn seeded(
        &self,
        cx: &mut CommitCx,
        declaration: &Declaration,
        (of, since): (Option<Timestamp>, Option<Timestamp>),
        said: &mut Vec<String>,
    ) -> Result<Outcome, Stop> {
        {
            let mut lent = self.lent(cx).await?;
            let session = lent.session();
            let state = state::read(session, declaration).await.map_err(|fault| self.stop("the state", &fault))?;
            if state.is_none_or(|state| state.installed_at != of) {
                return Err(self.another_rollup());
            }
            let done = async {
                session.begin().await?;
                let now = bound::now(session).await?;
                state::seed_began(session, declaration, since).await?;
                state::seeded(session, declaration, now).await?;
                let state = state::read(session, declaration).await?;
                let unplaced = recompute::unplaced(session, declaration).await?;
                session.commit().await?;
                Ok::<_, Fault>((state.and_then(|state| state.seeded_from), unplaced))
            };
            let done = done.await;
            if let Ok((_, rows @ 1..)) = done {
                said.push(format!(
                    "{rows} rows of {} are in no bucket: their `{}` is infinite, of a year before 1 or after 9999, or no time",
                    declaration.source, declaration.event_time
                ));
            }
            match done {
                Ok((None, _)) => {}
                Ok((Some(begun), _)) => said.push(format!(
                    "the buckets before {begun:.0} are still without their events, and the rollup is not complete: `highwater run {}` seeds \
                     them",
                    self.handle
                )),
                Err(fault) => {
                    session.rollback().await.ok();
                    return Err(self.stop("the end of the seed", &fault));
                }
            }
        }
        self.ticked(cx, declaration, None, said).await
    }

    /// What this step is about: what is declared; while it is to be changed, what is installed yet.
    pub(super) async fn in_hand(&self, cx: &mut CommitCx) -> Result<Subject, Stop> {
        let Subject::Declared(declaration) = &self.subject else { return Ok(self.subject.clone()) };
        let mut lent = self.lent(cx).await?;
        let state = state::read(lent.session(), declaration).await.map_err(|fault| self.stop("the state", &fault))?;
        let installed = state.and_then(|state| state.declared).filter(|installed| !installed.is_same(declaration));
        match installed {
            None => Ok(self.subject.clone()),
            Some(installed) if self.asked.change.is_some() => {
                Ok(Subject::Declared(Declaration { freeze_before: declaration.freeze_before, ..installed }))
            }
            Some(installed) => Err(self.declared_anew(&installed.differing(declaration).join("`, `"))),
        }
    }

    /// The stop of a pass that finds another declaration than what is installed was made from.
    pub(super) fn declared_anew(&self, fields: &str) -> Stop {
        Stop::Halt {
            why: format!("the rollup was installed with another `{fields}` than is declared now"),
            evidence: self.way_to_change(),
            until: None,
        }
    }

    pub(super) fn way_to_change(&self) -> String {
        format!(
            "`highwater rearm {0} --why …`, then `highwater rollup change {0}` builds what is declared now beside what is installed, and \
             puts it in its place; or put the declaration back",
            self.handle
        )
    }

    fn another_rollup(&self) -> Stop {
        Stop::Halt {
            why: "the rollup was installed anew since its slices were computed: they are not in it".to_owned(),
            evidence: format!(
                "`highwater worklist {0} --replace` plans them anew, and `highwater rearm {0} --why …` lets passes run",
                self.handle
            ),
            until: None,
        }
    }

    /// From one watermark to the next.
    pub(super) async fn tick(&self, cx: &mut CommitCx, said: &mut Vec<String>) -> Result<Outcome, Stop> {
        let span_max = Some(self.settings.tick_max.get());
        match &self.in_hand(cx).await? {
            Subject::Declared(declaration) => self.ticked(cx, declaration, span_max, said).await,
            Subject::Window(window, _) => self.window_ticked(cx, window, said).await,
        }
    }

    pub(super) async fn ticked(
        &self,
        cx: &mut CommitCx,
        declaration: &Declaration,
        span_max: Option<Duration>,
        said: &mut Vec<String>,
    ) -> Result<Outcome, Stop> {
        let until = self.bound(cx, said).await?;
        let read = cx.read.clone();
        let mut lent = self.lent(cx).await?;
        let session = lent.session();
        let state = state::read(session, declaration).await.map_err(|fault| self.stop("the state", &fault))?;
        match state.and_then(|state| state.watermark) {
            Some(watermark) => self.tell_ahead(session, watermark, said).await?,
            // The end of a seed has none yet.
            None if span_max.is_none() => {}
            None => said.push("there was no watermark: all that waited is taken, and one is stamped".to_owned()),
        }
        let reach = Reach { until, span_max, entries_max: drain::ENTRIES_MAX, transactions_max: TRANSACTIONS_AT_ONCE };
        let (mut cells, mut late) = (0, 0);
        loop {
            read.clear().await?;
            let ticked = tick::tick(session, declaration, reach).await.map_err(|error| self.unticked(error))?;
            cells += ticked.cells;
            late += ticked.late;
            if !ticked.drained {
                continue;
            }
            *self.stamped() = ticked.watermark;
            if cells > 0 {
                self.count(cells);
            }
            if late > 0 {
                said.push(format!(
                    "{late} rows came or changed in frozen buckets, which do not tell of that: they ended more than \
                     `freeze-before` ago, or had been frozen"
                ));
            }
            return match ticked.watermark {
                Some(watermark) if ticked.more => Err(self.behind(watermark, until)),
                _ => Ok(Outcome::because(OutcomeKind::Done, format!("{cells} cells"))),
            };
        }
    }

    /// A watermark that is later than the database's clock denies what comes until then, and nothing moves it on before.
    async fn tell_ahead(
        &self,
        session: &mut dyn Session,
        watermark: Timestamp,
        said: &mut Vec<String>,
    ) -> Result<(), Stop> {
        let now = bound::now(session).await.map_err(|fault| self.stop("the clock", &fault))?;
        if watermark <= now {
            return Ok(());
        }
        let ahead =
            format!("the watermark is at {watermark:.0}, later than the database's clock, which is at {now:.0}");
        let threshold = SignedDuration::try_from(self.settings.threshold.get()).unwrap_or(SignedDuration::MAX);
        if watermark.duration_since(now) <= threshold {
            said.push(format!("{ahead}: it proves nothing, and stays there until the clock has passed it"));
            return Ok(());
        }
        Err(Stop::Halt {
            why: format!("{ahead}, and proves nothing"),
            evidence: match &self.subject {
                Subject::Declared(_) => format!(
                    "`highwater verify {0} --repair` moves it back to what can be known; then `highwater rearm {0} --why …`",
                    self.handle
                ),
                Subject::Window(window, _) => {
                    format!("find out what stamped it, and set {} back", window.watermark.table)
                }
            },
            until: None,
        })
    }

    /// Of a call for a tick alone by no more than `tick-max`; of any other all the way, a slice at a time, each with its stamp.
    async fn window_ticked(&self, cx: &mut CommitCx, window: &Window, said: &mut Vec<String>) -> Result<Outcome, Stop> {
        let until = self.bound(cx, said).await?;
        let mut from = {
            let mut lent = self.lent(cx).await?;
            let mark = window.watermark.read(lent.session()).await;
            self.known(window, mark.map_err(|error| self.unread("the watermark", error))?)?
        };
        {
            let mut lent = self.lent(cx).await?;
            self.tell_ahead(lent.session(), from, said).await?;
        }
        let mut rows = 0;
        while from < until {
            let farthest = if self.asked.tick {
                let span = SignedDuration::try_from(self.settings.tick_max.get()).unwrap_or(SignedDuration::MAX);
                from.checked_add(span).unwrap_or(Timestamp::MAX)
            } else {
                self.settings.slice.end(self.settings.slice.begin(from))
            };
            let to = until.min(farthest);
            rows += self.walk(cx, &self.subject, Span { from, to }, Some(to)).await?;
            *self.stamped() = Some(to);
            if self.asked.tick && to < until {
                return Err(self.behind(to, until));
            }
            from = to;
        }
        Ok(touched(rows))
    }

    fn behind(&self, watermark: Timestamp, until: Timestamp) -> Stop {
        let hours = until.duration_since(watermark).as_hours();
        Stop::checkpoint(
            Reason::Checkpoint,
            format!(
                "the watermark is at {watermark:.0}, {hours} hours behind: one tick moves it by `tick-max`, {}",
                self.settings.tick_max
            ),
        )
    }

    async fn stamp_only(&self, cx: &mut CommitCx, window: &Window, to: Timestamp) -> Result<(), Stop> {
        let mut lent = self.lent(cx).await?;
        let session = lent.session();
        let mark = window.watermark.read(session).await.map_err(|error| self.unread("the watermark", error))?;
        self.known(window, mark)?;
        let done = async {
            session.begin().await?;
            window.watermark.stamp(session, to).await?;
            session.commit().await
        };
        let done = done.await;
        if let Err(fault) = done {
            session.rollback().await.ok();
            return Err(self.stop("the stamp", &fault));
        }
        Ok(())
    }

    /// How far a watermark may go, read now, on the session that holds the lock.
    pub(super) async fn bound(&self, cx: &mut CommitCx, said: &mut Vec<String>) -> Result<Timestamp, Stop> {
        let mut lent = self.lent(cx).await?;
        self.bound_on(lent.session(), said).await
    }

    pub(super) async fn bound_on(&self, session: &mut dyn Session, said: &mut Vec<String>) -> Result<Timestamp, Stop> {
        let stop = |fault: &Fault| self.stop("the bound", fault);
        let is_sqlite = session.dialect() == Dialect::Sqlite;
        if is_sqlite {
            session.begin().await.map_err(|fault| stop(&fault))?;
        }
        let read = bound::read(session, self.settings.lag.get(), &self.settings.bound_ignores).await;
        if is_sqlite {
            session.rollback().await.map_err(|fault| stop(&fault))?;
        }
        match read.map_err(|fault| stop(&fault))? {
            Bound::Until { at, held_by } => {
                if let Some(holder) = held_by {
                    said.push(format!(
                        "the watermark goes no further than {at:.0}: the transaction of {holder} is open since then; if it only \
                         reads, `bound-ignores` may name it"
                    ));
                }
                Ok(at)
            }
            Bound::Prepared { transactions } => Err(Stop::checkpoint(
                Reason::Checkpoint,
                format!(
                    "{transactions} prepared in this database, and nobody knows since when: COMMIT PREPARED or ROLLBACK PREPARED \
                     them (pg_prepared_xacts), or wait"
                ),
            )),
            Bound::Standby => Err(Stop::Fail(
                Diagnosis::refusal(
                    "HW-ROL-008",
                    "the server is a standby, expected the primary",
                    "name the primary in `database`",
                )
                .at_field("database"),
            )),
            Bound::Blind { role } => Err(Stop::Fail(
                Diagnosis::refusal(
                    "HW-ROL-009",
                    format!("the role {role} does not see when others' transactions began, and could stamp past them"),
                    format!("GRANT pg_read_all_stats TO \"{role}\";"),
                )
                .at_field("database"),
            )),
            Bound::Hidden { pid } => Err(Stop::Fail(Diagnosis::refusal(
                "HW-ROL-010",
                format!("process {pid} does not tell when its transaction began: its `track_activities` is off"),
                "turn `track_activities` on for that role, or name it in `bound-ignores` if it only reads",
            ))),
        }
    }
}
