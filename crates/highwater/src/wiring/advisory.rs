//! The lock `postgres:KEY`: an advisory lock, held by the session that is lent to the job. Owns how a session becomes a lock of
//! the engine's; the key and the session are the database crate's.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use highwater_db::postgres::{Address, AdvisoryKey, PostgresSession};
use highwater_db::session::{Fault, FaultKind};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::Stop;
use highwater_engine::lock::{Held, Lock, LockIdentity, Probe};
use highwater_engine::report::Reason;
use highwater_engine::settings::{AdvisoryKeyText, DatabaseUrl};

/// The lock of a key in the one database that it is meant in.
///
/// # Errors
/// A refusal where that is not one PostgreSQL database; the check of the configuration finds it before.
pub(super) fn lock(key: &AdvisoryKeyText, databases: &[DatabaseUrl]) -> Result<AdvisoryLock, Diagnosis> {
    let address = databases.first().and_then(|database| database.expose().parse().ok());
    match (address, key.as_str().parse()) {
        (Some(address), Ok(key)) => Ok(AdvisoryLock::new(address, key)),
        _ => Err(Diagnosis::refusal(
            "HW-LCK-005",
            format!("the lock postgres:{key} is in no PostgreSQL database"),
            "add `lock-database = \"postgres://…\"` to the resource",
        )
        .at_field("lock")),
    }
}

/// An advisory lock in a database.
pub(crate) struct AdvisoryLock {
    address: Address,
    key: AdvisoryKey,
    /// The session of the last try that missed: who waits does not connect anew each time.
    waiting: tokio::sync::Mutex<Option<PostgresSession>>,
    holder: Mutex<Option<String>>,
}

impl AdvisoryLock {
    pub(crate) fn new(address: Address, key: AdvisoryKey) -> Self {
        Self { address, key, waiting: tokio::sync::Mutex::default(), holder: Mutex::default() }
    }

    fn cannot(&self, fault: &Fault) -> Stop {
        let message = format!("the lock postgres:{} in {} cannot be tried: {}", self.key, self.address, fault.message);
        match fault.kind {
            FaultKind::Lost => Stop::checkpoint(Reason::Network, message),
            _ => Stop::Fail(
                Diagnosis::refusal("HW-LCK-005", message, "correct the address, or let the role in").at_field("lock"),
            ),
        }
    }

    async fn refuse_pooler(&self, session: &mut PostgresSession) -> Result<(), Stop> {
        if !session.is_pooled(&self.address).await.map_err(|fault| self.cannot(&fault))? {
            return Ok(());
        }
        Err(Diagnosis::refusal(
            "HW-LCK-006",
            format!(
                "between here and {} a pooler gives one server process to several sessions, and a session's lock with it",
                self.address
            ),
            "name the server itself, or a pool in session mode",
        )
        .at_field("lock")
        .into())
    }

    fn holder(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Lock for AdvisoryLock {
    fn describe(&self) -> String {
        format!("postgres:{} in {}", self.key, self.address)
    }

    fn identity(&self) -> Result<LockIdentity, Diagnosis> {
        Ok(LockIdentity::Key(format!("{}#{}", self.address.place(), self.key.number())))
    }

    async fn try_take(&self) -> Result<Option<Box<dyn Held>>, Stop> {
        let mut waiting = self.waiting.lock().await;
        let mut session = match waiting.take().filter(|session| !session.lost().load(Ordering::SeqCst)) {
            Some(session) => session,
            None => {
                let mut session = PostgresSession::open(&self.address).await.map_err(|fault| self.cannot(&fault))?;
                self.refuse_pooler(&mut session).await?;
                session
            }
        };
        if session.try_lock(&self.key).await.map_err(|fault| self.cannot(&fault))? {
            return Ok(Some(Box::new(HeldKey { lost: session.lost(), session })));
        }
        // It may have been let go meanwhile: then nobody is named.
        let holder = session.holder(&self.key).await.map_err(|fault| self.cannot(&fault))?;
        *self.holder() = holder;
        *waiting = Some(session);
        Ok(None)
    }

    fn holder_hint(&self) -> Option<String> {
        self.holder().clone()
    }
}

/// The lock goes with the session at the latest: dropping it closes the connection.
struct HeldKey {
    session: PostgresSession,
    lost: Arc<AtomicBool>,
}

#[async_trait]
impl Held for HeldKey {
    fn probe(&self) -> Probe {
        let lost = Arc::clone(&self.lost);
        Box::new(move || !lost.load(Ordering::SeqCst))
    }

    fn session(&mut self) -> &mut (dyn Any + Send) {
        &mut self.session
    }

    async fn release(mut self: Box<Self>) {
        // If it fails, the lock goes with the connection.
        let _ = self.session.unlock().await;
    }
}
