//! The one writer: a thread that owns the read-write connection and does what it is handed, in order.
//!
//! SQLite takes one writer at a time anyhow; a thread of its own keeps its syncs off the async runtime, and its queue makes
//! order and back-pressure plain. What is written, and in which groups, is the caller's.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::error::{Error, path_of};

/// Pieces of work that wait at most; callers beyond them wait to be let in.
pub const QUEUE_TASKS_MAX: usize = 256;

const THREAD_NAME: &str = "sqlite-writer";

type Task = Box<dyn FnOnce(&mut Connection) + Send>;

enum Message {
    Task(Task),
    Stop(oneshot::Sender<Result<(), Error>>),
}

/// Why a piece of work has no result. Whatever it had written is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The writer was stopped before the work was handed in.
    #[error("the writer of {} is stopped", path.display())]
    Stopped {
        /// The database file.
        path: PathBuf,
    },
    /// The work panicked; the writer goes on with the next.
    #[error("the work on {} panicked: {message}", path.display())]
    Panicked {
        /// The database file.
        path: PathBuf,
        /// What the panic said.
        message: String,
    },
    /// The work began a transaction and did not end it, so its result means nothing.
    #[error("the work on {} left its transaction open", path.display())]
    TransactionLeftOpen {
        /// The database file.
        path: PathBuf,
    },
}

/// A handle on the writer's thread. Dropping it waits until what was handed in is done, as [`Writer::stop`] does.
pub struct Writer {
    path: PathBuf,
    /// `None` only while being dropped.
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Gives `connection` to a thread of its own.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub fn start(connection: Connection) -> Result<Self, Error> {
        let path = path_of(&connection);
        let (queue, tasks) = mpsc::channel(QUEUE_TASKS_MAX);
        let thread = thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || serve(connection, tasks))
            .map_err(|error| Error::from_os(&path, "start the writer of", error))?;
        Ok(Self { path, queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `work` on the connection, after all that was handed in before, and returns its result. Once handed in, the work
    /// runs even if the caller does not wait for it.
    ///
    /// # Errors
    /// The work has no result; see [`WriterError`].
    pub async fn run<T, F>(&self, work: F) -> Result<T, WriterError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let path = self.path.clone();
        let task = Box::new(move |connection: &mut Connection| {
            // A caller that is gone does not need the result.
            let _ = reply.send(perform(connection, path, work));
        });
        let stopped = || WriterError::Stopped { path: self.path.clone() };
        self.queue().send(Message::Task(task)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Takes no more work, does what was handed in, moves the write-ahead log into the file and closes it. Stopping twice
    /// is no error.
    ///
    /// # Errors
    /// What kept SQLite from closing the file cleanly; what was committed is safe in the log.
    pub async fn stop(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if self.queue().send(Message::Stop(reply)).await.is_err() {
            return Ok(());
        }
        // No answer: another stop was first.
        answer.await.unwrap_or(Ok(()))
    }

    fn queue(&self) -> &mpsc::Sender<Message> {
        self.queue.as_ref().expect("invariant: the queue lives until the drop")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        // The last handle may have been in a piece of work, and a thread cannot wait for itself.
        let own = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        if let Some(thread) = self.thread.take().filter(|thread| !own(thread)) {
            // The thread catches panics of the work, and has none of its own to tell.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The thread's life: until it is told to stop or nobody is left to tell it anything.
fn serve(mut connection: Connection, mut tasks: mpsc::Receiver<Message>) {
    let mut stopping = None;
    while let Some(message) = tasks.blocking_recv() {
        match message {
            Message::Task(task) => task(&mut connection),
            Message::Stop(reply) => {
                tasks.close();
                stopping.get_or_insert(reply);
            }
        }
    }
    let path = path_of(&connection);
    let closed = close(connection);
    match stopping {
        Some(reply) => drop(reply.send(closed)),
        None => {
            if let Err(error) = closed {
                tracing::warn!(
                    db.path = %path.display(),
                    error = &error as &dyn std::error::Error,
                    "a database is not closed cleanly, its log is read when it is opened next",
                );
            }
        }
    }
}

fn perform<T>(
    connection: &mut Connection,
    path: PathBuf,
    work: impl FnOnce(&mut Connection) -> T,
) -> Result<T, WriterError> {
    // The connection is the only thing shared with the work, and an open transaction the only state it could be left in.
    let result = catch_unwind(AssertUnwindSafe(|| work(connection)));
    let left_open = !connection.is_autocommit();
    if left_open && let Err(error) = connection.execute_batch("ROLLBACK") {
        tracing::error!(db.path = %path.display(), %error, "a transaction that was left open cannot be rolled back");
    }
    match result {
        Err(panic) => Err(WriterError::Panicked { path, message: message_of(panic.as_ref()) }),
        Ok(_) if left_open => Err(WriterError::TransactionLeftOpen { path }),
        Ok(result) => Ok(result),
    }
}

/// Takes all that was committed into the database's own file, and empties the log beside it; `false` where another has it open, who may
/// read the log.
///
/// # Errors
/// What the database says: the disk may have no room for it.
pub fn take_in_log(connection: &Connection) -> Result<bool, Error> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
        .map_err(|error| Error::on(connection, error))
}

fn close(connection: Connection) -> Result<(), Error> {
    // Beside a reader the log may stay longer; the next to open the file goes on with it.
    take_in_log(&connection)?;
    connection.close().map_err(|(connection, error)| Error::on(&connection, error))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it left no message").to_owned()
}
