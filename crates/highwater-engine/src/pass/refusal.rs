//! A job that cannot run here, as a runner: every pass of it is refused, with its row.

use async_trait::async_trait;

use super::ending::Ending;
use super::{Engine, Mode, Pass, Runner};
use crate::diagnosis::Diagnosis;
use crate::job::Stop;
use crate::report::PassReport;
use crate::spec::JobSpec;

/// Refuses each pass with the same words; takes no lock and reads no state.
#[derive(Debug, Clone)]
pub struct Refusal(pub Diagnosis);

#[async_trait]
impl Runner for Refusal {
    async fn run(&self, engine: &Engine, spec: &JobSpec, _: Mode) -> PassReport {
        let pass = Pass::new(engine, spec);
        let ending = match engine.ledger.register_job(&spec.name, &spec.kind).await {
            Ok(()) => Ending::failed(self.0.clone()),
            Err(error) => pass.stopped(Stop::from(error)).await,
        };
        pass.end(ending).await
    }

    async fn rehearse(&self, engine: &Engine, spec: &JobSpec) -> PassReport {
        Pass::new(engine, spec).report(Ending::failed(self.0.clone()))
    }
}
