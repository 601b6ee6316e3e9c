//! The row of a pass: written when it begins, closed when it ends, whatever the ending; and the report, which says the same. Owns
//! that no pass ends without one.

use super::Pass;
use super::ending::Ending;
use crate::job::Stop;
use crate::ledger::{Begin, End, Fence, Holder};
use crate::name::{PassId, ResourceName};
use crate::report::{ExitCode, PassReport, Spent};

impl Pass<'_> {
    pub(super) async fn begin(&mut self, names: Vec<ResourceName>) -> Result<(PassId, Fence), Stop> {
        let engine = self.engine;
        let pass = self.begin_row().await?;
        let holder = Holder {
            host: engine.host.clone(),
            pid: engine.pid,
            since: engine.clock.now(),
            job: self.spec.name.clone(),
            pass,
        };
        let fence = engine.ledger.take_epochs(pass, &names, &holder).await?;
        Ok((pass, fence))
    }

    pub(super) async fn begin_row(&mut self) -> Result<PassId, Stop> {
        let begin = Begin {
            job: self.spec.name.clone(),
            at: self.begun_at,
            host: self.engine.host.clone(),
            pid: self.engine.pid,
            who: self.engine.who.clone(),
            budget_items: self.contacts.budget().items,
        };
        let pass = self.engine.ledger.begin_pass(&begin).await?;
        self.id = Some(pass);
        Ok(pass)
    }

    pub(super) fn spent(&self) -> Spent {
        self.contacts.meter().spent()
    }

    pub(super) async fn write_end(&self, ending: &Ending) -> Result<(), Stop> {
        let Some(pass) = self.id else { return Ok(()) };
        let end = End {
            at: self.engine.clock.now(),
            reason: ending.reason,
            exit: ending.reason.exit(),
            message: ending.message.clone(),
            counts: self.counts,
            spent: self.spent(),
            times: self.times,
        };
        Ok(self.engine.ledger.end_pass(pass, &end).await?)
    }

    /// Every ending, refusals too, writes its row; then the report.
    pub(super) async fn end(mut self, mut ending: Ending) -> PassReport {
        if self.id.is_none() {
            // It ended without its locks; one whose row is written already is not written again.
            let written = match self.begin_row().await {
                Ok(_) => self.write_end(&ending).await,
                Err(stop) => Err(stop),
            };
            if let (Err(Stop::Fail(diagnosis)), true) = (written, ending.reason.exit() != ExitCode::Failed) {
                ending = Ending::failed(diagnosis);
            }
        }
        self.report(ending)
    }

    pub(super) fn report(mut self, ending: Ending) -> PassReport {
        let mut report = self.report_of(&ending);
        report.notes = std::mem::take(&mut self.notes);
        report
    }

    pub(super) fn report_of(&self, ending: &Ending) -> PassReport {
        PassReport {
            job: self.spec.name.clone(),
            pass: self.id,
            reason: ending.reason,
            exit: ending.reason.exit(),
            message: ending.message.clone(),
            until: ending.until,
            counts: self.counts,
            tally: self.tally,
            spent: self.spent(),
            times: self.times,
            took: self.engine.clock.elapsed().saturating_sub(self.begun),
            notes: Vec::new(),
            diagnosis: ending.diagnosis.clone(),
        }
    }
}
