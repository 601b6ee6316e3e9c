//! Why a run ended, as a person is told it. Owns the exit codes: 3 where the next call may go on by itself, 4 where a person must
//! look at the database or at a file, 2 where nothing was begun.

use std::path::Path;

use highwater_db::session::{Fault, FaultKind};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::report::ExitCode;

use super::{Broken, MigrateError, StateMissing, Unmet};
use crate::told::of_fault;

/// What an error is to a person who migrates the database at `place` by the files of `directory`.
#[must_use]
pub fn diagnosis(place: &str, directory: &Path, error: &MigrateError) -> Diagnosis {
    let message = || format!("{place}: {}", with_causes(error));
    let refused = |code, next: &str| Diagnosis::refusal(code, message(), next);
    let ended = |code, exit, next: &str| Diagnosis { exit, ..refused(code, next) };
    let again = "call `highwater migrate up` again; `highwater migrate list` says what is applied";
    match error {
        MigrateError::Fault(fault) => of_fault(place, "migrating", fault),
        MigrateError::Lock(why) => (**why).clone(),
        MigrateError::Files(_) => refused("HW-MIG-001", "correct the directory; nothing was run").in_file(directory),
        MigrateError::Script { file, source } => {
            let told = Diagnosis::refusal("HW-MIG-002", source.to_string(), "correct the file; nothing was run");
            told.in_file(directory.join(file))
        }
        MigrateError::NoJob { file, job, why } => {
            let told = format!("it requires {job}: {why}");
            let next = "correct the name, or add the rollup to the configuration; nothing was run";
            Diagnosis::refusal("HW-MIG-002", told, next).in_file(directory.join(file))
        }
        MigrateError::Changed { .. } | MigrateError::Missing { .. } | MigrateError::OutOfOrder { .. } => refused(
            "HW-MIG-003",
            "make the files fit to what was applied; nothing was run. `highwater migrate list` shows both",
        ),
        MigrateError::Interrupted { .. } => {
            ended("HW-MIG-004", ExitCode::Halted, "look at the database; then `highwater migrate up --resume`")
        }
        MigrateError::OthersTable { .. } => refused("HW-MIG-005", "nothing was run; that table stays as it is"),
        MigrateError::LockHeld { .. } => {
            ended("HW-MIG-006", ExitCode::Checkpoint, "call again when it has ended, or raise `lock-wait`")
        }
        MigrateError::LockLost { .. } => ended(
            "HW-MIG-007",
            ExitCode::Failed,
            "connect to the server itself, not to a pooler of transactions; then call again",
        ),
        MigrateError::Unmet { file, job, source } => unmet(place, directory, file, job, source),
        MigrateError::Step { source, .. } | MigrateError::Statement { source, .. } if passes(source) => {
            ended(code(error), ExitCode::Checkpoint, again)
        }
        MigrateError::Step { .. } | MigrateError::Dangling { .. } => {
            ended("HW-MIG-009", ExitCode::Halted, "correct the file, and call again: it was never applied")
        }
        MigrateError::Breaks { broken, .. } => ended("HW-MIG-013", ExitCode::Halted, &instead(broken)),
        MigrateError::Broke { broken, .. } => ended("HW-MIG-013", ExitCode::Halted, &at_once(broken)),
        MigrateError::Statement { .. } => ended(
            "HW-MIG-010",
            ExitCode::Halted,
            "correct what it objects to, undo what that statement left, and go on with `--resume`",
        ),
        MigrateError::Ended { .. } => {
            ended("HW-MIG-010", ExitCode::Halted, "look at the database, and take the statement out of the file")
        }
        MigrateError::InDoubt { .. } => ended("HW-MIG-011", ExitCode::Checkpoint, again),
        MigrateError::NoStep { .. } | MigrateError::HasHistory { .. } | MigrateError::NotShown { .. } => {
            refused("HW-MIG-012", "nothing was taken over; `highwater migrate list` shows what is known")
        }
    }
}

/// What to do before a step that would break rollups.
fn instead(broken: &[Broken]) -> String {
    let job = broken.first().map_or("JOB", |broken| broken.job.as_str());
    match broken.iter().all(Broken::is_of_triggers) {
        true => format!(
            "make its triggers again at the end of the file, as `highwater rollup ddl {job}` prints them; or `highwater rollup uninstall {job}` \
             before, and `install` after"
        ),
        false => format!(
            "name no such column in the declaration any more, and `highwater rollup change {job}` first: where it is renamed or gets \
             another type, add the new one beside it before, and drop the old one last. Or `highwater rollup uninstall {job}` first"
        ),
    }
}

/// What to do after one that did.
fn at_once(broken: &[Broken]) -> String {
    let job = broken.first().map_or("JOB", |broken| broken.job.as_str());
    match broken.iter().all(Broken::is_of_triggers) {
        true => format!(
            "changes go unnoticed: `highwater rollup install {job}` puts it back, then `highwater verify {job} --repair`"
        ),
        false => format!(
            "the application's writes to that table may fail now: undo it, or `highwater rollup uninstall {job} --drop-rows` at once"
        ),
    }
}

/// A failure that is over when the server is back, or the other session is done.
fn passes(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Lost | FaultKind::Contended)
}

fn code(error: &MigrateError) -> &'static str {
    if matches!(error, MigrateError::Statement { .. }) { "HW-MIG-010" } else { "HW-MIG-009" }
}

/// A rollup that is not complete: as whoever brings it up says it, with the step that was not run.
fn unmet(place: &str, directory: &Path, file: &str, job: &str, source: &Unmet) -> Diagnosis {
    let message =
        format!("{place}: {file} was not run: it requires {job}, which is not complete: {}", with_causes(&**source));
    let told = |exit, next: String| Diagnosis { exit, ..Diagnosis::refusal("HW-MIG-008", message.clone(), next) };
    if let Some(missing) = source.downcast_ref::<StateMissing>() {
        return told(ExitCode::Halted, format!("if no bucket is to be trusted: {}", missing.mend))
            .in_file(directory.join(file));
    }
    match source.downcast_ref::<Diagnosis>() {
        Some(why) => {
            let message =
                format!("{place}: {file} was not run: it requires {job}, which is not complete: {}", why.message);
            Diagnosis { message, ..why.clone() }
        }
        None => told(ExitCode::Halted, format!("`highwater rollup guard {job}` says how far it is")),
    }
    .in_file(directory.join(file))
}
