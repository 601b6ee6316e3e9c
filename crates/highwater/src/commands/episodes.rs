//! `episodes`: what a receiver stores, looked at and decided over. Owns where the index is and which of its rows are meant; each verb
//! is in a file of its own.

mod export;
mod list;
pub(super) mod resolve;
mod show;
mod verify;
mod withdraw;

use std::borrow::Borrow;
use std::io::ErrorKind;
use std::path::Path;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::shell::quoted_path;
use highwater_episodes::index::{IndexError, PageAsk, Row, View};
use highwater_episodes::name::HostId;
use highwater_episodes::odd::Odd;
use highwater_episodes::reindex::Files;
use highwater_episodes::store::Store;
use highwater_episodes::survey::no_such_host;
use indicatif::DecimalBytes;

use super::codes;
use super::events::moment_of;
use crate::cli::{EpisodesVerb, Global, Which};
use crate::output::Output;
use crate::site::configuration;
use crate::{Done, at};

pub(super) use withdraw::{MAKE_ROOM, WITHDRAW};

pub(crate) fn episodes(verb: EpisodesVerb, global: &Global) -> Done {
    let output = Output { json: global.json, quiet: global.quiet };
    match verb {
        EpisodesVerb::List(args) => list::list(&args, global, output),
        EpisodesVerb::Show(args) => show::show(&args, global, output),
        EpisodesVerb::Verify(args) => verify::verify(&args, global, output),
        EpisodesVerb::Export(args) => export::export(&args, global, output),
        EpisodesVerb::Withdraw(args) => at(global, |site| withdraw::withdraw(args, site)),
        EpisodesVerb::Resolve(args) => at(global, |site| resolve::resolve(args, site)),
    }
}

/// The files of the receiver that is meant.
fn files(root: Option<&Path>, global: &Global) -> Result<Files, Vec<Diagnosis>> {
    match root {
        Some(root) => {
            let root = root.canonicalize().map_err(|error| {
                vec![
                    Diagnosis::refusal(
                        codes::EPISODES_UNUSABLE,
                        format!("it cannot be entered: {error}"),
                        "name a receiver's directory, which holds `episodes` and `index.jsonl`",
                    )
                    .in_file(root)
                    .at_field("--root"),
                ]
            })?;
            Ok(Files::of_root(&root))
        }
        None if global.ledger.is_some() => Err(vec![super::needs_config("episodes")]),
        None => Ok(Files::of_root(&configuration(global)?.receiver().map_err(|error| vec![error])?.root)),
    }
}

/// The index as it is now, with a word about lines that are no rows.
fn view(files: &Files, output: Output) -> Result<View, Diagnosis> {
    if !is_there(&files.index)? && !is_there(&files.episodes)? {
        return Err(Diagnosis::refusal(
            codes::EPISODES_UNUSABLE,
            "there is neither an index nor a directory of episodes",
            "name a receiver's directory, which holds `episodes` and `index.jsonl`",
        )
        .in_file(files.index.parent().unwrap_or(&files.index)));
    }
    let view = View::read(&files.index).map_err(unusable)?;
    if let Some(told) = view.passed_over().map_err(unusable)? {
        output.note(told);
    }
    Ok(view)
}

/// Whether something is there; what the disk keeps from being looked at may be.
fn is_there(path: &Path) -> Result<bool, Diagnosis> {
    path.try_exists().map_err(|error| {
        let root = path.parent().unwrap_or(path);
        let next = match error.kind() {
            ErrorKind::PermissionDenied => {
                format!("let this user read {0} (`chown`, `chmod u+rX`), or call as one who may", quoted_path(root))
            }
            _ => "check the disk and that this user may read it".to_owned(),
        };
        let told = format!("it cannot be looked into: {error}");
        Diagnosis::failure(codes::EPISODES_UNUSABLE, told, next).in_file(root)
    })
}

fn unusable(error: IndexError) -> Diagnosis {
    let next = Odd::next_of(&error, "check the disk and that this user may read it");
    Diagnosis::failure(codes::EPISODES_UNUSABLE, with_causes(&error), next)
}

/// Which rows are meant.
fn asked(which: &Which) -> Result<PageAsk, Diagnosis> {
    let since = which.since.as_deref().map(|text| moment_of(text, SystemClock::new().now())).transpose()?;
    let hosts: Option<Vec<HostId>> = (!which.hosts.is_empty()).then(|| which.hosts.clone());
    Ok(PageAsk { hosts, since, ..PageAsk::default() })
}

/// Refuses hosts that there are not, as a name with a typing error in it is one: of them all would be well.
fn check_hosts(asked: &PageAsk, files: &Files, view: &View) -> Result<(), Diagnosis> {
    match &asked.hosts {
        None => Ok(()),
        Some(hosts) => are_there_in(hosts, files, || Ok(view)),
    }
}

/// The same of those that are typed.
pub(super) fn are_there(hosts: &[HostId], files: &Files) -> Result<(), Diagnosis> {
    are_there_in(hosts, files, || View::read(&files.index))
}

fn are_there_in<V: Borrow<View>>(
    hosts: &[HostId],
    files: &Files,
    view: impl FnOnce() -> Result<V, IndexError>,
) -> Result<(), Diagnosis> {
    // Where there is none, the rows alone tell; whoever needs it says what is wrong with it.
    let store = files.open_store_as_it_is().ok();
    let store = store.as_ref().map(|store| store as &dyn Store);
    match no_such_host(hosts, store, view) {
        Ok(None) => Ok(()),
        Ok(Some(none)) => Err(none.refusal()),
        Err(error) => {
            let next = Odd::next_of(&error, "check the disk and that this user may read it");
            Err(Diagnosis::failure(codes::EPISODES_UNUSABLE, with_causes(&error), next))
        }
    }
}

/// What ends a walk through the rows.
enum Ended {
    Index(IndexError),
    Told(Diagnosis),
}

impl From<IndexError> for Ended {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl From<Diagnosis> for Ended {
    fn from(told: Diagnosis) -> Self {
        Self::Told(told)
    }
}

impl Ended {
    fn diagnosis(self) -> Diagnosis {
        match self {
            Self::Index(error) => unusable(error),
            Self::Told(diagnosis) => diagnosis,
        }
    }
}

/// `12.34 MB`, for people.
fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// What is gathered of CSV before it is copied; about a row.
const CSV_BUFFER_BYTES: usize = 512;

/// The columns of CSV.
const COLUMNS: [&str; 10] = [
    "host_id",
    "episode_id",
    "received_at_wall",
    "size_bytes",
    "sha256",
    "content_sha256",
    "commit",
    "gate",
    "backfilled",
    "withdrawn",
];

/// A row as CSV has it.
fn fields(row: &Row) -> [String; 10] {
    let text = |value: Option<String>| value.unwrap_or_default();
    [
        row.host_id.to_string(),
        row.episode_id.to_string(),
        row.received_at_wall.to_string(),
        row.size_bytes.to_string(),
        row.sha256.to_string(),
        text(row.content_sha256.map(|sha256| sha256.to_string())),
        text(row.commit.as_ref().map(ToString::to_string)),
        text(row.gate.map(|gate| gate.word().to_owned())),
        row.backfilled.to_string(),
        text(row.withdrawn.clone()),
    ]
}

/// Lines of CSV.
fn csv_lines<R: IntoIterator<Item = impl AsRef<[u8]>>>(rows: impl IntoIterator<Item = R>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(CSV_BUFFER_BYTES).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("invariant: a Vec takes every write, and rows have the same fields");
    }
    writer.into_inner().expect("invariant: a Vec takes every write")
}
