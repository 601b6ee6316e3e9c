//! A database's refusal, as a person is told it by a command that ends with it.

use highwater_db::session::{Fault, FaultKind};
use highwater_engine::diagnosis::{Diagnosis, with_causes};

use crate::change::ChangeRefused;
use crate::ddl::{InstallError, Way};
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
    let waits = |message| {
        Diagnosis::failure(
            "HW-ROL-015",
            message,
            "nothing of the rollup was installed. Call again when the transactions that use its tables have ended, or raise the \
             role's `lock_timeout`; an index on the event time that was made is used then, and one that was begun is made anew",
        )
    };
    match error {
        InstallError::Fault(fault) if matches!(fault.kind, FaultKind::TimedOut | FaultKind::Contended) => {
            waits(format!("{place}: the installation: {}", fault.message))
        }
        InstallError::Fault(fault) => of_fault(place, "the installation", fault),
        InstallError::Index { fault, .. } if matches!(fault.kind, FaultKind::TimedOut | FaultKind::Contended) => {
            waits(format!("{place}: {error}"))
        }
        InstallError::Index { index, fault } => of_fault(place, &format!("making the index {index}"), fault),
        InstallError::BeingMade { .. } => waits(format!("{place}: {error}")),
        InstallError::Another { .. } => Diagnosis::refusal(
            "HW-ROL-016",
            format!("{place}: {error}"),
            format!("`highwater rollup change {handle}` builds what is declared now, and puts it in its place"),
        ),
        InstallError::Beyond { .. } => Diagnosis::refusal(
            "HW-ROL-017",
            format!("{place}: {error}"),
            format!(
                "put that right by hand; or `highwater rollup uninstall {handle} --drop-rows` and `highwater rollup install {handle}` \
                 begin anew, if its rows may go"
            ),
        ),
        InstallError::There { .. } => Diagnosis::refusal(
            "HW-ROL-016",
            format!("{place}: {error}"),
            format!(
                "`highwater rollup diff {handle}` says how it differs; `highwater rollup uninstall {handle}` takes it away"
            ),
        ),
    }
}

/// What a person is told to do about a drift.
#[must_use]
pub fn way_back(handle: &str, way: Way) -> String {
    match way {
        Way::PutBack => format!("`highwater rollup install {handle}` puts it back"),
        Way::Change => format!("`highwater rollup change {handle}`, or put the declaration back"),
        Way::Source => format!(
            "put it back; or name what is there now in the declaration, and `highwater rollup change {handle}` follows it"
        ),
        Way::Anew => format!(
            "put it back by hand; or `highwater rollup uninstall {handle} --drop-rows` and `highwater rollup install {handle}`, if its \
             rows may go"
        ),
    }
}

/// What a person is told of a change that is refused.
#[must_use]
pub fn of_change(place: &str, handle: &str, error: &ChangeRefused) -> Diagnosis {
    let (code, next) = match error {
        ChangeRefused::Fault(fault) => return of_fault(place, "the change", fault),
        ChangeRefused::Index(error) => return of_install(place, handle, error),
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
