//! Markers: the `.done` and `.halted` files of older wrappers, kept for those who read them. Owns what they are named, when
//! they are written, and what it means when someone else makes or deletes one: deleting `.halted` re-arms, making it halts;
//! deleting `.done` opens a finite job again, making it drains it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use highwater_fs::{Mode, publish_at};

use crate::diagnosis::{Diagnosis, with_causes};
use crate::job::Stop;
use crate::ledger::{Halt, JobRecord, JobState, Ledger, Who, Word};
use crate::name::JobName;
use crate::pass::Engine;
use crate::spec::JobSpec;

/// The word in the ledger and the ending of the file.
const DONE: &str = "done";
/// How much of a marker is taken over as evidence, in bytes.
const EVIDENCE_BYTES_MAX: u64 = 4096;
const HALTED: &str = "halted";
/// How often a person's word is written anew while others change it, in rounds.
const FOLLOWS_MAX: usize = 4;

/// The marker files of one place: `DIR/.done` for a directory, `PREFIX.done` for anything else.
#[derive(Debug, Clone)]
pub struct Markers {
    place: PathBuf,
}

impl Markers {
    /// The markers at a directory or a prefix.
    #[must_use]
    pub fn at(place: &Path) -> Self {
        Self { place: place.to_owned() }
    }

    /// The file that says drained.
    #[must_use]
    pub fn done(&self) -> PathBuf {
        self.file(DONE)
    }

    /// The file that says halted.
    #[must_use]
    pub fn halted(&self) -> PathBuf {
        self.file(HALTED)
    }

    fn file(&self, word: &str) -> PathBuf {
        if self.place.is_dir() {
            return self.place.join(format!(".{word}"));
        }
        let mut name = OsString::from(self.place.as_os_str());
        name.push(format!(".{word}"));
        PathBuf::from(name)
    }
}

fn cannot(path: &Path, error: &io::Error) -> Diagnosis {
    Diagnosis::failure(
        "HW-MRK-001",
        format!("the marker cannot be written: {error}"),
        "make its directory and let this user write there, or remove `markers`",
    )
    .in_file(path)
}

/// Obeys what people, or a wrapper that still runs, did to the markers since they were written.
pub(crate) async fn obey(engine: &Engine, spec: &JobSpec) -> Result<(), Stop> {
    let Some(place) = &spec.markers else { return Ok(()) };
    let markers = Markers::at(place);
    let (ledger, job) = (&engine.ledger, &spec.name);
    let Some(record) = ledger.job(job).await? else { return Ok(()) };
    let word = |why: String| Word { at: engine.clock.now(), who: Who("marker".to_owned()), why };
    let (halted, done) = (markers.halted(), markers.done());
    let drained = record.state == JobState::Drained;
    match (record.marker.as_deref(), &record.halt) {
        (Some(HALTED), Some(_)) if !halted.exists() => {
            ledger.rearm(job, &word(format!("{} was deleted", halted.display()))).await?;
            ledger.set_marker(job, None).await?;
        }
        // It was re-armed by a command: what the file says is over.
        (Some(HALTED), None) => {
            remove(&halted)?;
            ledger.set_marker(job, None).await?;
        }
        (_, None) if halted.exists() => {
            ledger.halt(job, &word(format!("{} is there", halted.display())), &evidence(&halted)).await?;
            ledger.set_marker(job, Some(HALTED)).await?;
        }
        (Some(DONE), _) if !done.exists() && drained => {
            if !spec.recurring {
                ledger.reopen_job(job, &word(format!("{} was deleted", done.display()))).await?;
            }
            ledger.set_marker(job, None).await?;
        }
        // With a list of its own, which is open, the job knows better.
        (None, None) if done.exists() && !drained && !spec.recurring && record.worklist.is_none() => {
            ledger.mark_drained(job, &word(format!("{} is there", done.display()))).await?;
            ledger.set_marker(job, Some(DONE)).await?;
        }
        _ => {}
    }
    Ok(())
}

/// What a marker says; old scripts wrote it in encodings of their own.
fn evidence(path: &Path) -> String {
    let mut bytes = Vec::new();
    // One that cannot be read is a marker all the same, without evidence.
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(EVIDENCE_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn remove(path: &Path) -> Result<(), Diagnosis> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot(path, &e)),
        _ => Ok(()),
    }
}

/// What a record calls for.
fn called_for(record: &JobRecord) -> Option<&'static str> {
    match (&record.halt, record.state) {
        (Some(_), _) => Some(HALTED),
        (None, JobState::Drained) => Some(DONE),
        _ => None,
    }
}

/// Writes that marker and takes the other away; the ledger must be told after it.
fn place(markers: &Markers, record: &JobRecord, now: Option<&str>) -> Result<(), Diagnosis> {
    for (word, path) in [(DONE, markers.done()), (HALTED, markers.halted())] {
        if now == Some(word) {
            // Whole or not at all: a marker that a power cut left empty would say nothing.
            publish_at(&path, text(record, word).as_bytes(), Mode::Umask)
                .map_err(|e| cannot(&path, &io::Error::new(e.kind(), with_causes(&e))))?;
        } else {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Writes the markers of a job after a person's word, beside a pass that may run and write them too.
///
/// The file is there before the ledger knows of it: a pass that saw it the other way round would take it for deleted. What
/// changed meanwhile is written anew, so that the last word stands in the end.
///
/// # Errors
/// [`Diagnosis`] when a marker or the ledger cannot be written; the word stands, and the next pass writes the marker.
pub async fn follow(ledger: &dyn Ledger, job: &JobName, at: &Path) -> Result<(), Diagnosis> {
    let markers = Markers::at(at);
    let mut last = None;
    for _ in 0..FOLLOWS_MAX {
        let Some(record) = ledger.job(job).await? else { return Ok(()) };
        let now = called_for(&record);
        let word = (now, record.halt.as_ref().map(|halt| halt.at));
        // Written already, and nobody changed it meanwhile.
        if last == Some(word) {
            return Ok(());
        }
        let there = match now {
            Some(HALTED) => markers.halted().exists(),
            Some(_) => markers.done().exists(),
            // A file that this job did not write is a person's, and for the next pass to heed.
            None => true,
        };
        // What says so already stays as it is: it may be an older wrapper's, with what that one saw.
        if last.is_some() || now != record.marker.as_deref() || !there {
            place(&markers, &record, now)?;
            ledger.set_marker(job, now).await?;
        }
        last = Some(word);
    }
    Ok(())
}

/// Writes the marker that the ending calls for, and takes the other away. Gives what a person should know of them.
pub(crate) async fn write(engine: &Engine, spec: &JobSpec) -> Result<Option<String>, Stop> {
    let Some(at) = &spec.markers else { return Ok(None) };
    let Some(record) = engine.ledger.job(&spec.name).await? else { return Ok(None) };
    let now = called_for(&record);
    let markers = Markers::at(at);
    if now == record.marker.as_deref() {
        let misled = now.is_none() && !spec.recurring && markers.done().exists();
        return Ok(misled.then(|| {
            format!("{} is there, which this job did not write: it is not drained; remove it", markers.done().display())
        }));
    }
    place(&markers, &record, now)?;
    engine.ledger.set_marker(&spec.name, now).await?;
    Ok(None)
}

fn text(record: &JobRecord, word: &str) -> String {
    match (&record.halt, word) {
        (Some(halt), HALTED) => {
            let Halt { at, who, why, evidence, .. } = halt;
            let evidence = if evidence.is_empty() { String::new() } else { format!("{evidence}\n") };
            format!("{at} by {}: {why}\n{evidence}to go on, delete this file\n", who.0)
        }
        _ => match record.worklist.as_ref().and_then(|w| w.closed_at) {
            Some(at) => format!("{at}\n"),
            None => String::new(),
        },
    }
}

/// What an older wrapper left: its markers become the job's state, with events.
///
/// # Errors
/// [`Diagnosis`] when neither marker is there, or the ledger cannot be written.
pub async fn import(engine: &Engine, job: &JobName, kind: &str, place: &Path) -> Result<String, Diagnosis> {
    let markers = Markers::at(place);
    let ledger = &engine.ledger;
    ledger.register_job(job, kind).await?;
    let word = |why: String| Word { at: engine.clock.now(), who: Who("import".to_owned()), why };
    if markers.halted().exists() {
        let evidence = evidence(&markers.halted());
        ledger.halt(job, &word(format!("taken over from {}", markers.halted().display())), &evidence).await?;
        ledger.set_marker(job, Some(HALTED)).await?;
        return Ok(format!(
            "{job}: halted, as {} says; `highwater rearm {job} --why …`, or delete that file",
            markers.halted().display()
        ));
    }
    if markers.done().exists() {
        ledger.mark_drained(job, &word(format!("taken over from {}", markers.done().display()))).await?;
        ledger.set_marker(job, Some(DONE)).await?;
        return Ok(format!("{job}: drained, as {} says", markers.done().display()));
    }
    Err(Diagnosis::refusal(
        "HW-MRK-002",
        format!(
            "neither {} nor {} is there; expected a marker of the older wrapper",
            markers.done().display(),
            markers.halted().display()
        ),
        "name the directory that holds them; a job without markers needs no import",
    )
    .in_file(place))
}
