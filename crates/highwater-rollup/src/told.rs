//! A database's refusal, as a person is told it by a command that ends with it.

use highwater_db::session::{Fault, FaultKind};
use highwater_engine::diagnosis::{Diagnosis, with_causes};

use crate::change::ChangeRefused;
use crate::ddl::InstallError;
use crate::window::ReadError;

/// What a fault is to a person who called a command on the database at `place`.
#[must_use]
pub fn of_fault(place: &str, doing: &str, fault: &Fault) -> Diagnosis {
    let message = format!("{place}: {doing}: {}", fault.message);
    match fault.kind {
        FaultKind::Lost => Diagnosis::failure(
            "HW-ROL-014",
            message,
            "see that the database runs and can be reached; nothing was changed",
        ),
        FaultKind::TimedOut | FaultKind::Contended => Diagnosis::failure(
            "HW-ROL-015",
            message,
            "call again when it is quieter, or raise the role's `statement_timeout` and `lock_timeout`; nothing was changed",
        ),
        FaultKind::Full => of_full(message),
        FaultKind::Denied => {
            Diagnosis::refusal("HW-ROL-003", message, "grant the role what it lacks, or name another in `database`")
        }
        FaultKind::Undefined => {
            Diagnosis::refusal("HW-ROL-004", message, "correct the name in the configuration, or make what it names")
        }
        FaultKind::Other => {
            Diagnosis::refusal("HW-ROL-013", message, "correct what the database objects to; nothing was changed")
        }
    }
}

/// What a person is told where the database's disk is full.
#[must_use]
pub fn of_full(message: String) -> Diagnosis {
    let next = "free space where the database keeps its files, and call again; nothing was changed";
    Diagnosis::failure("HW-ROL-060", message, next)
}

/// The same of what reads times.
#[must_use]
pub fn of_read(place: &str, doing: &str, error: &ReadError) -> Diagnosis {
    match error {
        ReadError::Fault(fault) => of_fault(place, doing, fault),
        other => Diagnosis::refusal("HW-ROL-005", format!("{place}: {}", with_causes(other)), "correct the field"),
    }
}

/// The same of an installation.
#[must_use]
pub fn of_install(place: &str, handle: &str, error: &InstallError) -> Diagnosis {
    match error {
        InstallError::Fault(fault) => of_fault(place, "the installation", fault),
        InstallError::There { .. } => Diagnosis::refusal(
            "HW-ROL-016",
            format!("{place}: {error}"),
            format!(
                "`highwater rollup diff {handle}` says how it differs; `highwater rollup uninstall {handle}` takes it away"
            ),
        ),
    }
}

/// What a person is told of a change that is refused.
#[must_use]
pub fn of_change(place: &str, handle: &str, error: &ChangeRefused) -> Diagnosis {
    let (code, next) = match error {
        ChangeRefused::Fault(fault) => return of_fault(place, "the change", fault),
        ChangeRefused::Dependents { .. } => {
            ("HW-ROL-030", "drop them, change the rollup, and make them again".to_owned())
        }
        ChangeRefused::Frozen { .. } => (
            "HW-ROL-031",
            "leave what they cannot tell out of the declaration, roll it up in a job of its own, or add `--drop-frozen` if they may go"
                .to_owned(),
        ),
        ChangeRefused::Unknown { .. } => (
            "HW-ROL-032",
            format!("`highwater rollup uninstall {handle} --drop-rows` and `install` begin anew, if its rows may go"),
        ),
        ChangeRefused::NotInstalled { .. } | ChangeRefused::NotSeeded { .. } => (
            "HW-ROL-033",
            format!("`highwater rollup uninstall {handle}`, where something is there; then `install` and `run`"),
        ),
    };
    Diagnosis::refusal(code, format!("{place}: {error}"), next)
}
