//! The dry run: what a pass would do, without lock, row or contact.

use std::sync::Arc;

use super::ending::{Ending, halted};
use super::{Mode, Pass, State};
use crate::job::{Job, Stop};
use crate::pin;
use crate::report::{Reason, counted};
use crate::turnstile;

impl Pass<'_> {
    /// What a pass would do.
    pub(super) async fn rehearse<J: Job>(&mut self, job: &Arc<J>) -> Ending {
        match self.rehearsed(job).await {
            Ok(ending) => ending,
            Err(stop) => match stop {
                Stop::Halt { why, .. } => halted(&self.spec.handle, &why),
                other => self.stopped(other).await,
            },
        }
    }

    async fn rehearsed<J: Job>(&mut self, job: &Arc<J>) -> Result<Ending, Stop> {
        if !self.spec.armed {
            return Ok(Ending::new(Reason::Disarmed, "`armed = false` keeps this job from running on this host"));
        }
        let resources: Vec<_> = self.spec.resources.iter().collect();
        turnstile::refuse_one_lock_twice(&resources)?;
        let cx = self.read_cx(None);
        let open = match self.state(job, &cx, Mode::Run).await? {
            State::Go(open) => open,
            State::End(ending) => return Ok(ending),
        };
        self.contacts.obey(&self.contacts.control().await?)?;
        let would = match open {
            Some(open) => {
                pin::refuse_changed(self.engine, &**job, &cx, &self.spec.handle, None, &open).await?;
                if pin::takes_more(&**job, self.spec.recurring, &open) {
                    pin::rehearse_plan(&**job, &cx).await?.beside(&open)
                } else {
                    pin::rehearse_open(self.engine, &open).await?
                }
            }
            None => pin::rehearse_plan(&**job, &cx).await?,
        };
        if would.items == 0 {
            let detail = match would.present {
                0 => "nothing to do".to_owned(),
                present => format!("nothing to do: {} listed, and present", counted(present, "item")),
            };
            return Ok(Ending::new(Reason::AlreadyDrained, detail));
        }
        Ok(Ending::new(Reason::DryRun, would.to_string()))
    }
}
