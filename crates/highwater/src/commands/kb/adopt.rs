//! `kb init --adopt`: a base of the older kind becomes one of this kind. Owns what is told of it, and that its own program does not
//! change it meanwhile.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::report::ExitCode;
use highwater_kb::adopt::{self, AdoptError, Adopted, Counted, Journal, JournalState, OLDER_LOCK, Survey};
use highwater_kb::{Base, BaseLock, Directory, Home, KbError, Snapshot};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::{BUSY, HAS_HISTORY, NO_DIRECTORY, NO_REGISTRY, NONE_OLDER, OLDER_BUSY};
use crate::Done;
use crate::bar::counted;
use crate::cli::KbInit;
use crate::output::Output;
use crate::owner::{become_owner, become_owner_of_new};
use crate::table::lines;
use crate::wiring::kb::ROWS;

/// How many of what is not taken over are told one by one; JSON has all.
const TOLD_MAX: usize = 20;

pub(super) fn adopt(args: &KbInit, output: Output) -> Done {
    taken(args, output).map_err(|error| vec![error])
}

fn taken(args: &KbInit, output: Output) -> Result<ExitCode, Diagnosis> {
    let root = &args.directory;
    become_owner(&[&root.join(ROWS), root])?;
    become_owner_of_new(root)?;
    let none = |told: String| {
        let next = "name the directory that has `.openkb/`; or make a new base: `highwater kb init DIR`";
        Diagnosis::refusal(NONE_OLDER, told, next).in_file(root)
    };
    let root = root.canonicalize().map_err(|error| none(format!("there is no base of the older kind: {error}")))?;
    let failed = |error: &KbError| highwater_kb::add::diagnosis(error).in_file_once(&root);
    let home: Arc<dyn Home> = Arc::new(Directory::open(&root).map_err(|error| failed(&error.into()))?);
    // Nobody changes it while it is looked at.
    let _older = lock(&root)?;
    let now = SystemClock::new().now();
    let is_there = root.join(ROWS).is_file();
    let mut registered = HashSet::new();
    let mut ours = None;
    if is_there && !args.dry_run {
        // What a call that was cut off began is finished before anything is looked at.
        let held = base_lock(&home, &root)?;
        let mut base = Base::open(Arc::clone(&home), now).map_err(|error| failed(&error))?;
        base.finish(&held).map_err(|error| failed(&error))?;
        ours = Some((base, held));
    }
    if is_there {
        let snapshot = Snapshot::open(Arc::clone(&home)).map_err(|error| failed(&error))?;
        registered = adopt::registered(&snapshot).map_err(|error| failed(&error))?;
    }
    let survey = adopt::survey(home.fs(), &root, &registered).map_err(|error| match error {
        AdoptError::None => none(error.to_string()),
        AdoptError::Fs(error) => failed(&error.into()),
        error @ AdoptError::NoDirectory(_) => {
            let next = "put a directory with its files in its place, and call again: nothing was changed";
            Diagnosis::refusal(NO_DIRECTORY, error.to_string(), next).in_file(&root)
        }
        error => {
            let next = "restore `.openkb/hashes.json` from a backup, and call again: nothing was changed";
            Diagnosis::refusal(NO_REGISTRY, with_causes(&error), next).in_file(&root)
        }
    })?;
    if args.dry_run {
        let told = format!("{} would be taken over; nothing was written\n{}", root.display(), summed(&survey));
        output.answer(&answer(&root, &survey, None, true), told);
        tell(&survey, output);
        return Ok(ExitCode::Drained);
    }
    let (mut base, held) = match ours {
        Some(ours) => ours,
        None => {
            let base = Base::init(Arc::clone(&home), now).map_err(|error| failed(&error))?;
            (base, base_lock(&home, &root)?)
        }
    };
    match adopt::adopt(&mut base, &held, now, home.fs(), &survey).map_err(|error| failed(&error))? {
        Adopted::Other => {
            let next = "use it as it is, and add what is missing: `highwater kb add PATH`; or move `.highwater/` away, and call again";
            Err(Diagnosis::refusal(HAS_HISTORY, "it is a knowledge base already, which was not taken over", next)
                .in_file(&root))
        }
        Adopted::Before => {
            let told = format!("{} was taken over before; nothing changed", root.display());
            output.answer(&answer(&root, &survey, None, false), told);
            Ok(ExitCode::Drained)
        }
        Adopted::Now { documents, .. } => {
            let told = format!(
                "{0} is a knowledge base now, taken over from one of the older kind; nothing was converted or compiled again\n{1}\n  \
                 .openkb/ is as it was, and is not needed any more: do not change this base with its program\n  \
                 add documents: highwater kb add PATH --kb {0}",
                root.display(),
                summed(&survey)
            );
            output.answer(&answer(&root, &survey, Some(documents), false), told);
            tell(&survey, output);
            Ok(ExitCode::Drained)
        }
    }
}

fn base_lock(home: &Arc<dyn Home>, root: &Path) -> Result<BaseLock, Diagnosis> {
    let failed = |error: &KbError| highwater_kb::add::diagnosis(error).in_file_once(root);
    let held = home.try_lock().map_err(|error| failed(&KbError::io("be locked")(error)))?;
    held.ok_or_else(|| {
        Diagnosis::failure(BUSY, "another change of it is under way", "let that one end, and call again").in_file(root)
    })
}

/// The lock of the older program, which is held while it changes something; where there is none, it never did.
fn lock(root: &Path) -> Result<Option<File>, Diagnosis> {
    let path = root.join(OLDER_LOCK);
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(&path) else { return Ok(None) };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            let told = "the program of the older kind is at work in it";
            Err(Diagnosis::failure(OLDER_BUSY, told, "let it end, or end it, and call again: nothing was changed")
                .in_file(path))
        }
        // A file system that knows no locks was none of its program's either.
        _ => Ok(Some(file)),
    }
}

fn summed(survey: &Survey) -> String {
    let Counted { documents, concepts, entities, explorations, reports } = survey.counted;
    let entities = if entities == 1 { "1 entity".to_owned() } else { format!("{entities} entities") };
    format!(
        "  {}, {}, {entities}, {}, {}",
        counted(documents, "document"),
        counted(concepts, "concept"),
        counted(explorations, "exploration"),
        counted(reports, "report")
    )
}

/// What a person should know besides.
fn tell(survey: &Survey, output: Output) {
    for journal in &survey.journals {
        output.note(format!("  note: {}", lines(&journal.told())));
    }
    for note in &survey.notes {
        output.note(format!("  note: {}", lines(note)));
    }
    for not in survey.not_taken.iter().take(TOLD_MAX) {
        output.note(format!("  not taken over: {}: {}", lines(&not.what), lines(&not.why)));
    }
    if let Some(more) = survey.not_taken.len().checked_sub(TOLD_MAX).filter(|more| *more > 0) {
        output.note(format!("  not taken over: {more} more; `--dry-run --json` has them all"));
    }
}

fn answer(root: &Path, survey: &Survey, documents: Option<u64>, dry_run: bool) -> Value {
    let Counted { concepts, entities, explorations, reports, .. } = survey.counted;
    let found = survey.counted.documents;
    json!({
        "kb": root.to_string_lossy(),
        "made": documents.is_some(),
        "dry_run": dry_run,
        "found": { "documents": found, "concepts": concepts, "entities": entities, "explorations": explorations, "reports": reports },
        "documents": documents.unwrap_or(0),
        "not_taken": survey.not_taken.iter().map(|not| json!({ "what": not.what, "why": not.why })).collect::<Vec<_>>(),
        "notes": survey.notes,
        "journals": survey.journals.iter().map(journal).collect::<Vec<_>>(),
    })
}

fn journal(journal: &Journal) -> Value {
    let file = &journal.file;
    match &journal.state {
        JournalState::Interrupted { operation, subject, targets, backups } => json!({
            "file": file, "state": "interrupted", "operation": operation, "subject": subject, "targets": targets, "backups": backups
        }),
        JournalState::Over { operation, status } => {
            json!({ "file": file, "state": "over", "operation": operation, "status": status })
        }
        JournalState::Unreadable { why } => json!({ "file": file, "state": "unreadable", "why": why }),
    }
}
