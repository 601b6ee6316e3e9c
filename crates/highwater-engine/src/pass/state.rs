//! Whether a job may go on: halted, paused, drained before, or mended since it halted. Owns that order; what a halt is, is the
//! ledger's.

use std::sync::Arc;

use super::ending::{self, Ending, halted};
use super::{Mode, Pass};
use crate::job::{Job, ReadCx, Stop};
use crate::ledger::{Halt, JobRecord, JobState, Word};
use crate::pin;
use crate::report::Reason;
use crate::worklist::{WorklistRecord, WorklistState};

/// Whether to go on after the state was read.
pub(super) enum State {
    Go(Option<WorklistRecord>),
    End(Ending),
}

impl Pass<'_> {
    /// halted → 4 · paused → 3 · finite and drained → 0. Gives the worklist that is still open.
    pub(super) async fn state<J: Job>(&mut self, job: &Arc<J>, cx: &ReadCx, mode: Mode) -> Result<State, Stop> {
        let Some(mut record) = self.engine.ledger.job(&self.spec.name).await? else { return Ok(State::Go(None)) };
        if mode == Mode::Run && self.rearm_mended(job, cx, record.halt.as_ref()).await? {
            record = self.engine.ledger.job(&self.spec.name).await?.unwrap_or(record);
        }
        let JobRecord { state, halt, paused, worklist, .. } = record;
        self.tally = worklist.as_ref().map(|w| w.tally);
        if mode != Mode::Run {
            return Ok(State::Go(worklist));
        }
        if let Some(halt) = halt {
            return Ok(State::End(halted(&self.spec.handle, &halt.why)));
        }
        if let Some(paused) = paused {
            return Ok(State::End(Ending::new(Reason::Paused, ending::paused(&paused))));
        }
        let drained = state == JobState::Drained;
        if !drained {
            return Ok(State::Go(worklist.filter(|w| w.state == WorklistState::Pinned)));
        }
        if self.spec.recurring {
            return Ok(State::Go(None));
        }
        if let Some(worklist) = &worklist {
            pin::refuse_changed_if_there(self.engine, &**job, cx, &self.spec.handle, worklist).await?;
        }
        let way = pin::with_flag(&self.spec.handle, "--replace|--extend");
        let every = pin::at_every_call(&self.spec.handle, worklist.as_ref());
        let message = format!("nothing to do: it was drained before ({way}, or `retry`, opens it{every})");
        Ok(State::End(Ending::new(Reason::AlreadyDrained, message)))
    }

    /// Re-arms a job whose halt waits for something that has come true.
    pub(super) async fn rearm_mended<J: Job>(
        &self,
        job: &Arc<J>,
        cx: &ReadCx,
        halt: Option<&Halt>,
    ) -> Result<bool, Stop> {
        let Some(until) = halt.and_then(|halt| halt.until.as_deref()) else { return Ok(false) };
        let Some(why) = job.mended(cx, until).await? else { return Ok(false) };
        let word = Word { at: self.engine.clock.now(), who: self.who(), why };
        Ok(self.engine.ledger.rearm(&self.spec.name, &word).await?)
    }
}
