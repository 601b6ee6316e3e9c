//! The plan: what of a rollup there is to compute. Owns the choice between a seed and a tick, where the slices begin and end, and
//! what of a seed would leave older buckets behind.

use std::sync::PoisonError;

use highwater_db::session::{FaultKind, Session};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{ReadCx, Stop};
use jiff::Timestamp;

use super::{Change, Rollup, Step};
use crate::declare::Declaration;
use crate::guard::{self, Answer, guard};
use crate::precheck::{self, Before};
use crate::recompute::{self, Span};
use crate::settings::Subject;
use crate::window::{Extent, Mark, Window};
use crate::{ddl, freeze, state};

/// Most sentences about drift that a person is told.
const DRIFT_TOLD_MAX: usize = 5;

impl Rollup {
    /// The steps of the next worklist: those that were found under the lock, or without one, in a dry run, what is there now.
    pub(super) async fn planned(&self, _: ReadCx) -> Result<Vec<Step>, Stop> {
        let known = self.surveyed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(surveyed) = known {
            return surveyed;
        }
        let mut session = self.beside().await?;
        let mut steps = self.survey(&mut *session).await?;
        if let Subject::Declared(declaration) = &self.subject {
            for step in &mut steps {
                if let Step::Slice { from, to, rows } = step {
                    let span = Span { from: *from, to: *to };
                    let counted = recompute::rows(&mut *session, declaration, span).await;
                    *rows = counted.map_err(|fault| self.stop("the source", &fault))?;
                }
            }
        }
        Ok(steps)
    }

    /// What there is to do. Under the lock, so that what is read here is not of a month that ended while the pass waited.
    pub(super) async fn survey(&self, session: &mut dyn Session) -> Result<Vec<Step>, Stop> {
        match &self.subject {
            Subject::Declared(declaration) => self.of_declared(session, declaration).await,
            Subject::Window(window, _) => self.of_window(session, window).await,
        }
    }

    async fn of_declared(&self, session: &mut dyn Session, declaration: &Declaration) -> Result<Vec<Step>, Stop> {
        if let Some(Change { drop_frozen }) = self.asked.change {
            return self.of_change(session, declaration, drop_frozen).await;
        }
        self.refuse_drift(session, declaration).await?;
        let state = state::read(session, declaration).await.map_err(|fault| self.stop("the state", &fault))?;
        let Some(state) = state else {
            let mend = freeze::state_row(session, declaration).await;
            let mend = mend.map_err(|fault| self.stop("the state", &fault))?;
            return Err(Stop::Halt {
                why: format!("{}_state has no row, so that nobody knows how far the rollup is", declaration.target),
                evidence: format!("to seed it anew, but for what is frozen: {mend}"),
                until: None,
            });
        };
        // A seed that was begun later than it had to be, and the buckets before that are still without their events.
        let begun = state.seeded_at.and(state.seeded_from);
        let is_whole = state.seeded_at.is_some() && begun.is_none();
        if state.seeded_at.is_some() && (self.asked.tick || (is_whole && self.asked.since.is_none())) {
            return Ok(vec![Step::Tick]);
        }
        if self.asked.tick {
            return Err(self.not_seeded());
        }
        self.refuse_unfit(session, declaration, Before::Seed).await?;
        let extent = recompute::extent(session, declaration).await.map_err(|fault| self.stop("the source", &fault))?;
        let finish = |since| Step::Finish { from: None, of: state.installed_at, since };
        let Some(extent) = extent else { return Ok(vec![finish(None)]) };
        // What is frozen was computed once, and its raw rows may be gone; what never was is none of that.
        let frozen = state.frozen_before.filter(|_| begun.is_none()).unwrap_or(extent.from);
        let needed = extent.from.max(frozen);
        let leaves = |since: Timestamp| since > needed && !is_whole && begun.is_none_or(|begun| since < begun);
        if let Some(since) = self.asked.since.map(|since| self.grain().begin(since)).filter(|since| leaves(*since))
            && state.seeded_at.is_none()
            && state.frozen_before.is_some()
        {
            return Err(between_frozen(needed, since));
        }
        let since = self.since(needed, leaves)?.max(frozen);
        let to = match begun {
            // From there on it is seeded, and kept in step.
            Some(begun) if self.asked.since.is_none() => begun.min(extent.to),
            _ => extent.to,
        };
        let mut steps = self.slices(since, to);
        steps.push(finish((since > needed && !is_whole).then_some(since)));
        Ok(steps)
    }

    async fn of_window(&self, session: &mut dyn Session, window: &Window) -> Result<Vec<Step>, Stop> {
        let threshold = self.settings.threshold.get();
        let answer = guard(session, guard::Subject::Window(window), threshold).await;
        let answer = answer.map_err(|error| self.unread("how far it is", error))?;
        match answer {
            Answer::NotInstalled { table, .. } => return Err(no_state(&table)),
            Answer::StateMissing { table, is_null, mend } => return Err(unknown_watermark(&table, is_null, &mend)),
            Answer::Ahead(figures) => {
                return Err(Stop::Halt {
                    why: format!("the watermark is later than the database's clock, and proves nothing: {figures}"),
                    evidence: format!("find out what stamped it, and set {} back", window.watermark.table),
                    until: None,
                });
            }
            _ if self.asked.tick => return Ok(vec![Step::Tick]),
            Answer::SourceEmpty => return Ok(vec![Step::Finish { from: None, of: None, since: None }]),
            ref answer if answer.is_complete() && self.asked.since.is_none() => return Ok(vec![Step::Tick]),
            _ => {}
        }
        let Some(Extent { first, last }) =
            window.extent(session).await.map_err(|error| self.unread("`bounds`", error))?
        else {
            return Ok(vec![Step::Finish { from: None, of: None, since: None }]);
        };
        let mark = window.watermark.read(session).await.map_err(|error| self.unread("the watermark", error))?;
        let watermark = self.known(window, mark)?;
        // All that is below a watermark is rolled up: that is what it says.
        let needed = self.grain().begin(first.max(watermark));
        let leaves = |since: Timestamp| since > needed && watermark < last;
        let from = self.since(needed, leaves)?;
        let bound = self.bound_on(session, &mut Vec::new()).await?;
        // What ends after the bound is not over yet: it is the last step's, which reads the bound anew.
        let end = self.settings.slice.begin(bound);
        let mut steps = self.slices(from, end);
        steps.push(Step::Finish { from: Some(from.max(end)), of: None, since: leaves(from).then_some(from) });
        Ok(steps)
    }

    /// Where a seed begins. One that begins later than it must leaves buckets without their events.
    fn since(&self, needed: Timestamp, leaves: impl Fn(Timestamp) -> bool) -> Result<Timestamp, Stop> {
        let Some(since) = self.asked.since else { return Ok(needed) };
        let since = self.grain().begin(since);
        if leaves(since) && !self.asked.force_partial {
            let (stamps, next) = match self.subject {
                Subject::Declared(_) => (
                    "",
                    "add `--force-partial` if these are to come first: a later call without any of them seeds the rest",
                ),
                Subject::Window(..) => {
                    (", and stamp a watermark past them", "add `--force-partial` if they are to stay so")
                }
            };
            return Err(Stop::Fail(
                Diagnosis::refusal(
                    "HW-ROL-011",
                    format!("a seed from {since:.0} on would leave the buckets from {needed:.0} until then without their events{stamps}"),
                    format!("leave `--since` and `--months-back` out, or {next}"),
                )
                .at_field(self.asked.since_flag()),
            ));
        }
        Ok(since)
    }

    fn slices(&self, from: Timestamp, to: Timestamp) -> Vec<Step> {
        self.cut(from, to).map(|(from, to)| Step::Slice { from, to, rows: None }).collect()
    }

    /// The slices between two times.
    pub(super) fn cut(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let slice = self.settings.slice;
        let next = move |at: Timestamp| (at < to).then(|| (at, slice.end(slice.begin(at)).min(to)));
        std::iter::successors(next(from), move |(_, end)| next(*end))
    }

    /// A trigger that is missing loses changes, and nobody would see it in the figures.
    async fn refuse_drift(&self, session: &mut dyn Session, declaration: &Declaration) -> Result<(), Stop> {
        let drift = match ddl::diff(session, declaration).await {
            Ok(drift) => drift,
            Err(fault) if fault.kind == FaultKind::Undefined => vec![fault.message],
            Err(fault) => return Err(self.stop("what is installed", &fault)),
        };
        // The next pass mends that by itself, under the lock; a dry run changes nothing.
        if drift.iter().all(|sentence| state::is_older(sentence)) {
            return Ok(());
        }
        let found =
            ddl::leftovers(session, declaration).await.map_err(|fault| self.stop("what is installed", &fault))?;
        if found.is_empty() {
            self.refuse_unfit(session, declaration, Before::Install).await?;
            return Err(Stop::Fail(Diagnosis::refusal(
                "HW-ROL-002",
                format!("{} is not installed in {}", declaration.target, self.address),
                format!("look at `highwater rollup ddl {0}`, then `highwater rollup install {0}`", self.handle),
            )));
        }
        let declared_anew = drift.iter().any(|sentence| sentence.starts_with(ddl::ANOTHER));
        let more = drift.len().saturating_sub(DRIFT_TOLD_MAX);
        let mut told = drift.into_iter().take(DRIFT_TOLD_MAX).collect::<Vec<_>>().join("; ");
        if more > 0 {
            told.push_str(&format!("; and {more} more"));
        }
        Err(Stop::Halt {
            why: format!("what is installed is not what is declared, so that changes may have been lost: {told}"),
            evidence: if declared_anew {
                self.way_to_change()
            } else {
                format!(
                    "`highwater rollup diff {0}` lists it, `highwater rollup install {0}` puts it back; then `highwater verify {0} --repair` and `highwater rearm {0} --why …`",
                    self.handle
                )
            },
            until: None,
        })
    }

    /// What no seed makes right. The statements may have been run by hand, and then nobody looked before.
    async fn refuse_unfit(
        &self,
        session: &mut dyn Session,
        declaration: &Declaration,
        before: Before,
    ) -> Result<(), Stop> {
        let checked = precheck::check(session, declaration, before).await;
        let checked = checked.map_err(|fault| self.stop("what is to be rolled up", &fault))?;
        if let Some(first) = checked.refused.into_iter().next() {
            return Err(Stop::Fail(first));
        }
        for advice in checked.advice {
            tracing::warn!(job = self.handle, "{advice}");
        }
        Ok(())
    }

    fn not_seeded(&self) -> Stop {
        Stop::Fail(Diagnosis::refusal(
            "HW-ROL-012",
            "the rollup is not seeded, and a tick would stamp past what is missing",
            format!("seed it first: `highwater run {}`", self.handle),
        ))
    }
}

impl Rollup {
    /// The watermark that there must be.
    pub(super) fn known(&self, window: &Window, mark: Mark) -> Result<Timestamp, Stop> {
        let table = window.watermark.table.to_string();
        match mark {
            Mark::At(watermark) => Ok(watermark),
            Mark::NoTable => Err(no_state(&table)),
            Mark::NoRow | Mark::Null => {
                let look = format!("`highwater rollup guard {}` tells the statement", self.handle);
                Err(unknown_watermark(&table, mark == Mark::Null, &look))
            }
        }
    }
}

fn no_state(table: &str) -> Stop {
    Stop::Fail(
        Diagnosis::refusal(
            "HW-ROL-007",
            format!("rollup_state_missing: there is no table {table}, expected the one that holds the watermark"),
            "run the migrations that make it, or correct `watermark.table`",
        )
        .at_field("watermark"),
    )
}

fn unknown_watermark(table: &str, is_null: bool, mend: &str) -> Stop {
    let what = if is_null { "the watermark is NULL" } else { "there is no row for the watermark" };
    Stop::Halt {
        why: format!("{table} does not say how far the rollup is ({what}), and nothing is stamped over that"),
        evidence: format!("if no bucket is to be trusted: {mend}"),
        until: None,
    }
}

/// Frozen buckets before those that never were computed, and after them others that will freeze: nobody could tell them apart.
fn between_frozen(frozen: Timestamp, since: Timestamp) -> Stop {
    Stop::Fail(
        Diagnosis::refusal(
            "HW-ROL-011",
            format!(
                "a seed from {since:.0} on would leave the buckets from {frozen:.0} until then without their events, between those that are frozen and the others"
            ),
            "leave `--since`, `--months-back` and `--force-partial` out: what is frozen is kept, and the rest is seeded",
        )
        .at_field("--since"),
    )
}
