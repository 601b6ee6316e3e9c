//! A system of the users' own: what it has is read from a file, a command or a query, and a record is handed to a command. Owns
//! those calls.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::{Stream, StreamExt as _, stream};
use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::exec::consumer::Consumer;
use highwater_engine::exec::output::Output;
use highwater_engine::exec::settings::ExecSettings;
use highwater_engine::job::{CommitCx, ReadCx, Stop};
use highwater_engine::name::{ItemKey, PassId};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;
use highwater_engine::settings::CommandLine;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};
use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::identifier::{IDENTIFIER_BYTES_MAX, Namespace};
use crate::protocol::Record;
use crate::provider::record_document;
use crate::settings::OwnSystemSettings;

/// Identifiers that are read ahead.
const AHEAD_ITEMS: usize = 4096;
/// The longest line of a list, in bytes: an identifier and what a careless program puts around it.
const LINE_BYTES_MAX: u64 = 4 * IDENTIFIER_BYTES_MAX as u64;

/// How it is told what the system has.
#[derive(Debug, Clone)]
enum Have {
    File(PathBuf),
    Command(CommandLine, PathBuf),
    Sql { database: PathBuf, query: String },
}

/// A system of the users' own.
#[derive(Debug)]
pub struct OwnSystem {
    have: Have,
    load: Consumer,
    /// The pass in which it listed last what it has.
    listed_in: Mutex<Option<PassId>>,
}

impl OwnSystem {
    /// The system that the settings describe, or what is wrong with them. Commands run in `base`, the config file's directory;
    /// `ledger_id` tells this ledger's processes from those of any other.
    ///
    /// # Errors
    /// [`Diagnosis`] where the settings do not say what it has.
    pub fn new(settings: &OwnSystemSettings, base: &Path, ledger_id: &str, output: Output) -> Result<Self, Diagnosis> {
        let OwnSystemSettings { have_file, have_command, have_sql, have_database, load, load_timeout } = settings;
        let have = match (have_file, have_command, have_sql, have_database) {
            (Some(file), None, None, None) => Have::File(file.to_path_buf()),
            (None, Some(command), None, None) => Have::Command(command.clone(), base.to_owned()),
            (None, None, Some(query), Some(database)) => {
                Have::Sql { database: database.to_path_buf(), query: query.clone() }
            }
            _ => {
                return Err(Diagnosis::refusal(
                    "HW-OAI-002",
                    "found none or several of `have-file`, `have-command` and `have-sql`, expected exactly one",
                    "keep the one that says what the system has",
                )
                .at_field("target"));
            }
        };
        let exec = ExecSettings { timeout: *load_timeout, ..ExecSettings::new(load.clone()) };
        Ok(Self { have, load: Consumer::new(&exec, base, ledger_id, output), listed_in: Mutex::new(None) })
    }

    /// The pass in which it listed last what it has; whoever holds this may list anew.
    pub(super) async fn listed_in(&self) -> MutexGuard<'_, Option<PassId>> {
        self.listed_in.lock().await
    }

    /// The identifiers that it has, as it writes them.
    pub(super) fn have(&self, cx: &ReadCx) -> impl Stream<Item = Result<String, Stop>> + Send + use<> {
        let (lines, read) = mpsc::channel(AHEAD_ITEMS);
        match self.have.clone() {
            Have::Command(command, directory) => {
                tokio::spawn(async move {
                    if let Err(diagnosis) = each_printed(&command, &directory, &lines).await {
                        // Whoever listens no more needs no reason.
                        let _ = lines.send(Err(Stop::Fail(diagnosis.at_field("target.have-command")))).await;
                    }
                });
            }
            have => {
                tokio::task::spawn_blocking(move || {
                    if let Err(diagnosis) = have.each(&lines) {
                        let _ = lines.blocking_send(Err(Stop::Fail(diagnosis)));
                    }
                });
            }
        }
        let stop = cx.stop().clone();
        stream::unfold(Some((read, stop)), async |listing| {
            let (mut read, stop) = listing?;
            tokio::select! {
                biased;
                // An error, not an end: what was not listed yet would look missing.
                () = stop.raised(Urgency::Soon) => {
                    let why = "stopped by a signal while the system listed what it has";
                    Some((Err(Stop::checkpoint(Reason::Stopped, why)), None))
                }
                line = read.recv() => Some((line?, Some((read, stop)))),
            }
        })
    }

    /// Reads the list once for nothing, where that is a file or a query.
    pub(super) async fn look(&self, cx: &ReadCx) -> Result<(), Stop> {
        if matches!(self.have, Have::Command(..)) {
            return Ok(());
        }
        let listed = self.have(cx);
        futures::pin_mut!(listed);
        while listed.next().await.transpose()?.is_some() {}
        Ok(())
    }

    pub(super) async fn load(&self, cx: &ReadCx, namespace: &Namespace, record: &Record) -> Result<Outcome, Stop> {
        let identifier = &record.header.identifier;
        let local = namespace.local(identifier).unwrap_or(identifier);
        let key = match ItemKey::new(local) {
            Ok(key) => key,
            Err(error) => return Ok(Outcome::because(OutcomeKind::Review, error.to_string())),
        };
        self.load.hand(cx, &key, record_document(record).into_bytes()).await
    }

    pub(super) async fn recover(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        self.load.recover(cx).await
    }
}

type Lines = mpsc::Sender<Result<String, Stop>>;

impl Have {
    /// Sends every identifier; ends early once nobody listens.
    fn each(&self, lines: &Lines) -> Result<(), Diagnosis> {
        match self {
            Self::File(path) => {
                let file = File::open(path).map_err(|e| {
                    unreadable(format!("it cannot be read: {e}")).in_file(path).at_field("target.have-file")
                })?;
                each_line(file, lines).map_err(|e| e.in_file(path).at_field("target.have-file"))
            }
            Self::Command(..) => Ok(()),
            Self::Sql { database, query } => each_row(database, query, lines)
                .map_err(|what| unreadable(what).in_file(database).at_field("target.have-sql")),
        }
    }
}

fn unreadable(message: String) -> Diagnosis {
    Diagnosis::refusal(
        "HW-OAI-003",
        format!("{message}; expected the identifiers that the system has"),
        "mend it and call again: nothing is planned while it is not known what the system has",
    )
}

fn each_line(from: impl std::io::Read, lines: &Lines) -> Result<(), Diagnosis> {
    let mut from = BufReader::new(from);
    for number in 1u64.. {
        let mut line = Vec::new();
        let read = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) => return Err(unreadable(format!("it cannot be read: {e}")).at_line(number)),
        }
        if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            return Err(unreadable(format!("found a line of more than {LINE_BYTES_MAX} bytes")).at_line(number));
        }
        let id = identifier(&line).map_err(|what| unreadable(format!("found {what}")).at_line(number))?;
        if !id.is_empty() && lines.blocking_send(Ok(id.to_owned())).is_err() {
            break;
        }
    }
    Ok(())
}

/// What a line of a list names; nothing where it is empty. What is no text names nothing, and would look like an orphan.
fn identifier(line: &[u8]) -> Result<&str, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "bytes that are no UTF-8")?;
    Ok(line.trim_start_matches('\u{feff}').trim())
}

/// Sends what the command prints. It is ended, with its process group, once nobody listens.
async fn each_printed(command: &CommandLine, directory: &Path, lines: &Lines) -> Result<(), Diagnosis> {
    let failed = |what: String| unreadable(format!("`{}` {what}", command.program));
    let mut child = tokio::process::Command::new(&command.program)
        .args(&command.arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(format!("cannot be started: {e}")))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let stdout = child.stdout.take().expect("invariant: it was piped");
    tokio::select! {
        biased;
        () = lines.closed() => {
            // One that has ended already is what is wanted.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            Ok(())
        }
        sent = send_printed(stdout, lines) => {
            sent.map_err(failed)?;
            let status = child.wait().await.map_err(|e| failed(format!("cannot be waited for: {e}")))?;
            // A list that broke off would make what it does not name look missing.
            if status.success() { Ok(()) } else { Err(failed(format!("ended with {status}"))) }
        }
    }
}

async fn send_printed(stdout: impl AsyncRead + Unpin, lines: &Lines) -> Result<(), String> {
    let mut from = tokio::io::BufReader::new(stdout);
    for number in 1u64.. {
        let mut line = Vec::new();
        let read = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
        if read.map_err(|e| format!("cannot be read from: {e}"))? == 0 {
            break;
        }
        if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            return Err(format!("printed more than {LINE_BYTES_MAX} bytes in line {number}"));
        }
        let id = identifier(&line).map_err(|what| format!("printed {what} in line {number}"))?;
        if !id.is_empty() && lines.send(Ok(id.to_owned())).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn each_row(database: &Path, query: &str, lines: &Lines) -> Result<(), String> {
    let said = |e: rusqlite::Error| e.to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(database, flags).map_err(said)?;
    let mut statement = db.prepare(query).map_err(said)?;
    let mut rows = statement.query([]).map_err(said)?;
    for number in 1u64.. {
        let Some(row) = rows.next().map_err(said)? else { break };
        let id = match row.get_ref(0).map_err(said)? {
            ValueRef::Null => continue,
            ValueRef::Integer(id) => id.to_string(),
            ValueRef::Text(id) => identifier(id).map_err(|what| format!("found {what} in row {number}"))?.to_owned(),
            other => return Err(format!("found a value of type {} in row {number}", other.data_type())),
        };
        if !id.is_empty() && lines.blocking_send(Ok(id)).is_err() {
            break;
        }
    }
    Ok(())
}
