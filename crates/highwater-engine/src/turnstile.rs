//! The turnstile: how a pass comes to hold every lock it needs, in name order, or leaves with nothing touched. Owns waiting,
//! tickets and the check that two names are not one lock; a single lock is [`crate::lock`]'s.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::clock::later;
use crate::contact::Urgency;
use crate::diagnosis::Diagnosis;
use crate::job::Stop;
use crate::ledger::Ticket;
use crate::lock::{Held, LockIdentity};
use crate::name::ResourceName;
use crate::pass::Engine;
use crate::report::Reason;
use crate::spec::{JobSpec, ResourceSpec};

/// How often a waiting pass tries again, in milliseconds.
pub(crate) const TRY_EVERY_MS: u64 = 100;
/// After how many seconds a ticket that is not renewed lapses: its pass was killed.
pub(crate) const TICKET_LAPSES_SECS: u64 = 10;

/// The locks a pass holds.
pub(crate) type HeldLocks = BTreeMap<ResourceName, Box<dyn Held>>;

/// The locks of a job, held for work that is no pass; dropping them lets them go.
pub struct Locked(HeldLocks);

impl Locked {
    /// Takes every lock of the job as a pass does: in name order, all or none, waiting in line up to its `lock-wait`.
    ///
    /// # Errors
    /// [`Stop`]; then none is held.
    pub async fn take(engine: &Engine, spec: &JobSpec) -> Result<Self, Stop> {
        pass_through(engine, spec).await.map(Self)
    }

    /// The first session of this type that holds one of the locks, and is fit.
    pub fn session<S: 'static>(&mut self, is_fit: impl Fn(&S) -> bool) -> Option<&mut S> {
        self.0.values_mut().filter_map(|held| held.session().downcast_mut()).find(|session| is_fit(session))
    }

    /// Lets all locks go, and ends when they are gone.
    pub async fn release(self) {
        for (_, held) in self.0 {
            held.release().await;
        }
    }
}

/// Takes every lock of the job, waiting up to its `lock-wait`.
pub(crate) async fn pass_through(engine: &Engine, spec: &JobSpec) -> Result<HeldLocks, Stop> {
    let mut resources: Vec<&ResourceSpec> = spec.resources.iter().collect();
    resources.sort_by(|a, b| a.name.cmp(&b.name));
    for resource in &resources {
        engine.ledger.resource(&resource.name).await?;
    }
    refuse_one_lock_twice(&resources)?;
    let waits = !spec.lock_wait.is_zero();
    let taken = wait(engine, spec, &resources, waits).await;
    if waits {
        for resource in &resources {
            engine.ledger.take_back_ticket(&resource.name, &engine.host, engine.pid, &spec.name).await?;
        }
    }
    taken
}

/// Two names for one inode or one key would make the pass wait for itself, or let two passes overlap.
pub(crate) fn refuse_one_lock_twice(resources: &[&ResourceSpec]) -> Result<(), Diagnosis> {
    let mut seen: HashMap<LockIdentity, &ResourceSpec> = HashMap::new();
    for resource in resources {
        if let Some(other) = seen.insert(resource.lock.identity()?, resource) {
            return Err(Diagnosis::refusal(
                "HW-LCK-004",
                format!(
                    "resources {} ({}) and {} ({}) are one lock under two names; expected one resource a lock",
                    other.name,
                    other.lock.describe(),
                    resource.name,
                    resource.lock.describe()
                ),
                "name one of them in every job that uses it, and remove the other",
            )
            .at_field(format!("resource.{}.lock", resource.name)));
        }
    }
    Ok(())
}

async fn wait(engine: &Engine, spec: &JobSpec, resources: &[&ResourceSpec], waits: bool) -> Result<HeldLocks, Stop> {
    let deadline = engine.clock.elapsed() + spec.lock_wait;
    let since = engine.clock.now();
    loop {
        let missed = match first_in_line(engine, spec, resources, since, waits).await? {
            None => match take_all(resources).await? {
                Ok(held) => return Ok(held),
                Err(missed) => missed,
            },
            Some(stop) => stop,
        };
        if engine.clock.elapsed() >= deadline {
            return Err(missed);
        }
        tokio::select! {
            () = engine.clock.sleep(Duration::from_millis(TRY_EVERY_MS)) => {}
            () = engine.stop.raised(Urgency::Soon) => return Err(Stop::checkpoint(Reason::Stopped, "stopped by a signal while waiting for a lock")),
        }
    }
}

/// Whether another pass has waited longer; a pass that waits leaves or renews its own tickets.
async fn first_in_line(
    engine: &Engine,
    spec: &JobSpec,
    resources: &[&ResourceSpec],
    since: jiff::Timestamp,
    waits: bool,
) -> Result<Option<Stop>, Stop> {
    let now = engine.clock.now();
    let mut yielded = None;
    for resource in resources {
        let tickets = engine.ledger.tickets(&resource.name, now).await?;
        let own = |t: &Ticket| t.host == engine.host && t.pid == engine.pid && t.job == spec.name;
        let ahead = tickets.iter().take_while(|t| !own(t)).find(|t| !waits || (t.since, t.pid) < (since, engine.pid));
        if let Some(ticket) = ahead {
            let message = format!(
                "{} waits for {} since {:.0} (host {}, process {}) and goes first",
                ticket.job, resource.name, ticket.since, ticket.host, ticket.pid
            );
            yielded = Some(Stop::checkpoint(Reason::Yielded, message));
        }
        if waits {
            let ticket = Ticket {
                job: spec.name.clone(),
                host: engine.host.clone(),
                pid: engine.pid,
                since,
                lapses_at: later(now, Duration::from_secs(TICKET_LAPSES_SECS)),
            };
            engine.ledger.leave_ticket(&resource.name, &ticket).await?;
        }
    }
    Ok(yielded)
}

/// All locks or none.
async fn take_all(resources: &[&ResourceSpec]) -> Result<Result<HeldLocks, Stop>, Stop> {
    let mut held = HeldLocks::new();
    for resource in resources {
        match resource.lock.try_take().await? {
            Some(lock) => held.insert(resource.name.clone(), lock),
            None => {
                let holder = resource.lock.holder_hint().map(|hint| format!(" by {hint}")).unwrap_or_default();
                let message = format!("the lock of {} ({}) is held{holder}", resource.name, resource.lock.describe());
                return Ok(Err(Stop::checkpoint(Reason::LockHeld, message)));
            }
        };
    }
    Ok(Ok(held))
}
