//! What a pass is told of its job and its resources: the config's values, resolved. Owns nothing but the shape.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ban::{BanFile, BanRules};
use crate::breaker::BreakerRules;
use crate::budget::Budget;
use crate::lock::Lock;
use crate::name::{JobName, ResourceName};
use crate::pace::{Pace, Pacer};
use crate::recorder::Grouping;
use crate::settings::JobSettings;
use crate::signal::far_side::FarSide;
use crate::throttle::ThrottleSpec;

/// A resource, resolved.
#[derive(Clone)]
pub struct ResourceSpec {
    /// Its name.
    pub name: ResourceName,
    /// Its lock.
    pub lock: Arc<dyn Lock>,
    /// Delay and jitter between contacts.
    pub pace: Pace,
    /// How `Retry-After` is read.
    pub ban: BanRules,
    /// Where the ban is shared with other programs.
    pub ban_file: Option<BanFile>,
    /// Its waiting line; one for all passes of the process.
    pub pacer: Arc<Pacer>,
}

impl ResourceSpec {
    /// A resource with the default pace and rules, and a waiting line of its own.
    #[must_use]
    pub fn new(name: ResourceName, lock: impl Lock) -> Self {
        Self {
            name,
            lock: Arc::new(lock),
            pace: Pace::default(),
            ban: BanRules::default(),
            ban_file: None,
            pacer: Arc::default(),
        }
    }
}

/// A job, resolved.
#[derive(Clone)]
pub struct JobSpec {
    /// Its name.
    pub name: JobName,
    /// How a person names it to a command: its name, and where its ledger is if no config says so.
    pub handle: String,
    /// Its kind.
    pub kind: String,
    /// Whether it may run on this host.
    pub armed: bool,
    /// Whether a drained worklist is followed by the next round.
    pub recurring: bool,
    /// Its resources.
    pub resources: Vec<ResourceSpec>,
    /// Items prepared at a time.
    pub concurrency: usize,
    /// Most bytes that preparations hold in memory.
    pub prefetch_bytes: u64,
    /// How outcomes are grouped.
    pub grouping: Grouping,
    /// How long to wait for a lock.
    pub lock_wait: Duration,
    /// What one pass may spend.
    pub budget: Budget,
    /// When it halts by itself.
    pub breaker: BreakerRules,
    /// Counted attempts after which an item goes to review.
    pub attempts_max: u32,
    /// Where `.done` and `.halted` are kept for those who read them: a directory, or a path that they are appended to.
    pub markers: Option<PathBuf>,
    /// Nothing drained for this long is told to people.
    pub silent_after: Option<Duration>,
    /// The signals that slow it down, and how they are heeded.
    pub throttle: ThrottleSpec,
    /// What its contacts show of the far side, from pass to pass of a process.
    pub far_side: Arc<FarSide>,
}

impl JobSpec {
    /// What a config says of a job, with its resources resolved already; its handle is its name, and whoever wires it brings its
    /// signals.
    #[must_use]
    pub fn new(name: JobName, kind: &str, resources: Vec<ResourceSpec>, settings: &JobSettings) -> Self {
        Self {
            handle: name.to_string(),
            name,
            kind: kind.to_owned(),
            armed: settings.armed,
            recurring: settings.recurring,
            resources,
            concurrency: settings.concurrency.as_usize(),
            prefetch_bytes: settings.prefetch_bytes.bytes(),
            grouping: Grouping { items: settings.record_items.as_usize(), delay: settings.record_delay.get() },
            lock_wait: settings.lock_wait.get(),
            budget: Budget {
                items: settings.budget.max_items.map(|n| n.get()),
                contacts: settings.budget.max_contacts.map(|n| n.get()),
                bytes: settings.budget.max_bytes.map(|n| n.bytes()),
                time: settings.budget.max_time.map(Duration::from),
            },
            breaker: BreakerRules {
                failed: settings.breaker.failed.fraction(),
                failed_after: settings.breaker.failed_after.get(),
                gone: settings.breaker.gone.fraction(),
                gone_after: settings.breaker.gone_after.get(),
            },
            attempts_max: u32::try_from(settings.attempts_max.get()).unwrap_or(u32::MAX),
            markers: settings.markers.as_ref().map(|path| path.to_path_buf()),
            silent_after: settings.silent_after.map(Duration::from),
            throttle: ThrottleSpec {
                signals: Vec::new(),
                every: settings.throttle_every.get(),
                wait: settings.throttle_wait.get(),
            },
            far_side: Arc::default(),
        }
    }
}
