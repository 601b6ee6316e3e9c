//! What a running pass must obey. Owns the probe that answers from memory while nothing was committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use highwater_engine::ledger::Control;
use highwater_engine::name::{JobName, ResourceName};
use rusqlite::{Connection, OptionalExtension as _};

use super::column::{Count, Name};
use super::fault::Step;
use super::sight::{Sight, Version};
use super::{overrides, resource};

/// Jobs whose answer is kept; more than any process runs.
const ANSWERS_KEPT: usize = 256;

/// Asks on a connection of its own, so that no reader of a page is in the way.
#[derive(Debug)]
pub(super) struct Probe {
    sight: Sight,
    answers: Mutex<HashMap<JobName, Answer>>,
}

/// What a job must obey, and what it was read from.
#[derive(Debug)]
struct Answer {
    /// The state of the ledger before it was read: it may be newer than that, never older.
    version: Version,
    resources: Vec<ResourceName>,
    control: Control,
}

impl Probe {
    pub(super) fn new(sight: Sight) -> Self {
        Self { sight, answers: Mutex::default() }
    }

    /// What the job must obey as of now: whatever any process committed before this was called is in it.
    pub(super) fn control(&self, job: &JobName, resources: &[ResourceName]) -> Step<Control> {
        let version = self.sight.version()?;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.get(job)
            && known.version == version
            && known.resources == resources
        {
            return Ok(known.control.clone());
        }
        let control = self.sight.read(|db| read(db, job, resources))?;
        if answers.len() >= ANSWERS_KEPT && !answers.contains_key(job) {
            answers.clear();
        }
        answers.insert(job.clone(), Answer { version, resources: resources.to_vec(), control: control.clone() });
        Ok(control)
    }
}

fn read(db: &Connection, job: &JobName, resources: &[ResourceName]) -> Step<Control> {
    let mut row = db.prepare_cached(include_str!("control/job.sql"))?;
    let row = row.query_row([Name(job)], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Count>(2)?.0)));
    let (halted, paused, version) = row.optional()?.unwrap_or_default();
    let mut bans = Vec::new();
    for name in resources {
        bans.extend(resource::get(db, name)?.and_then(|record| record.ban).map(|ban| (name.clone(), ban)));
    }
    let overrides = Arc::from(overrides::of_job(db, job)?);
    Ok(Control { halted, paused, bans, overrides, version })
}
