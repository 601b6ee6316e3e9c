//! A pass of `reindex` as people are told of it. Owns that one which is drained and has left something for a person does not end as if all
//! were well, whichever command ran it.

use std::sync::Arc;

use async_trait::async_trait;
use highwater_engine::pass::{Engine, Mode, Runner};
use highwater_engine::report::{ExitCode, PassReport};
use highwater_engine::spec::JobSpec;
use highwater_episodes::reindex::{Place, Reindex};

/// The job, with its ending.
pub(crate) struct Indexing(Arc<Reindex>);

impl Indexing {
    /// The job at a place.
    pub(crate) fn of(place: Place) -> Self {
        Self(Arc::new(Reindex::new(place)))
    }
}

#[async_trait]
impl Runner for Indexing {
    async fn run(&self, engine: &Engine, spec: &JobSpec, mode: Mode) -> PassReport {
        let mut report = self.0.run(engine, spec, mode).await;
        // The list is drained, and something in the store stays as it is until a person has looked at it.
        if report.exit == ExitCode::Drained && self.0.needs_a_person() {
            report.exit = ExitCode::Halted;
        }
        report
    }

    async fn rehearse(&self, engine: &Engine, spec: &JobSpec) -> PassReport {
        self.0.rehearse(engine, spec).await
    }
}
