//! A session that does something before one of its statements: lets another session write, or is cut off.

use async_trait::async_trait;
use highwater_db::session::{Dialect, Fault, FaultKind, Row, Session, Value};
use tokio::sync::oneshot;

/// What happens before the statement.
pub(crate) enum Act<'s> {
    /// Another session runs this.
    Elsewhere(&'s mut dyn Session, String),
    /// The session ends, and with it its transaction.
    Cut,
    /// Somebody is told, who drops what waits for the statement while it runs.
    Tell(oneshot::Sender<()>),
}

/// Does the work, or drops it as soon as somebody is told.
pub(crate) async fn unless_told<T>(told: oneshot::Receiver<()>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        Ok(()) = told => None,
    }
}

/// A session with something in between.
pub(crate) struct Between<'s> {
    inner: &'s mut dyn Session,
    /// What the statement holds: a piece of it, `BEGIN` or `COMMIT`.
    before: String,
    /// How many such statements are let pass.
    skip: usize,
    act: Option<Act<'s>>,
}

impl<'s> Between<'s> {
    pub(crate) fn new(inner: &'s mut dyn Session, before: &str, skip: usize, act: Act<'s>) -> Self {
        Self { inner, before: before.to_owned(), skip, act: Some(act) }
    }

    /// Whether it happened.
    pub(crate) fn happened(&self) -> bool {
        self.act.is_none()
    }

    async fn look(&mut self, sql: &str) -> Result<(), Fault> {
        if !sql.contains(&self.before) || self.act.is_none() {
            return Ok(());
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        match self.act.take().expect("it was looked at") {
            Act::Elsewhere(session, sql) => session.batch(&sql).await,
            Act::Tell(told) => {
                told.send(()).ok();
                Ok(())
            }
            Act::Cut => {
                self.inner.rollback().await.unwrap();
                Err(Fault { kind: FaultKind::Lost, doing: sql.to_owned(), message: "cut off".to_owned() })
            }
        }
    }
}

#[async_trait]
impl Session for Between<'_> {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    async fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, Fault> {
        self.look(sql).await?;
        self.inner.execute(sql, values).await
    }

    async fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        self.look(sql).await?;
        self.inner.query(sql, values).await
    }

    async fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        self.look(sql).await?;
        self.inner.batch(sql).await
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        self.look("BEGIN").await?;
        self.inner.begin().await
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        self.look("COMMIT").await?;
        self.inner.commit().await
    }

    async fn rollback(&mut self) -> Result<(), Fault> {
        self.inner.rollback().await
    }
}
