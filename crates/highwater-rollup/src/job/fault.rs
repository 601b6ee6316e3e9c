//! What a database's refusal means for a pass. Owns the kind of ending that each has, and what a person is told to do.

use highwater_db::session::{Fault, FaultKind};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::Stop;
use highwater_engine::report::Reason;

use crate::tick::TickError;
use crate::window::ReadError;

use super::Rollup;

impl Rollup {
    /// The stop that a fault is, wherever it came.
    pub(super) fn stop(&self, doing: &str, fault: &Fault) -> Stop {
        let message = format!("{doing}: {}", fault.message);
        match fault.kind {
            FaultKind::Lost => Stop::checkpoint(
                Reason::LockLost,
                format!("the connection is gone, and what was not committed with it: {message}"),
            ),
            FaultKind::Contended => {
                Stop::checkpoint(Reason::Checkpoint, format!("another session is in the way: {message}"))
            }
            FaultKind::TimedOut => {
                Stop::checkpoint(Reason::Checkpoint, format!("the database's time-out came first: {message}"))
            }
            FaultKind::Full => full(&message),
            FaultKind::Denied => Stop::Fail(
                Diagnosis::refusal(
                    "HW-ROL-003",
                    message,
                    "grant the role what it lacks, or name another in `database`",
                )
                .at_field("database"),
            ),
            FaultKind::Undefined => Stop::Fail(Diagnosis::refusal(
                "HW-ROL-004",
                message,
                format!("correct the name, or install the rollup: `highwater rollup install {}`", self.handle),
            )),
            FaultKind::Other => {
                Stop::Halt { why: message, evidence: format!("while it ran: {}", shortened(&fault.doing)), until: None }
            }
        }
    }

    /// The stop that a session which does not open is.
    pub(super) fn unopened(&self, fault: &Fault) -> Stop {
        match fault.kind {
            FaultKind::Lost => {
                Stop::checkpoint(Reason::Network, format!("{} cannot be reached: {}", self.address, fault.message))
            }
            _ => Stop::Fail(
                Diagnosis::refusal(
                    "HW-ROL-003",
                    format!("{}: {}", self.address, fault.message),
                    "correct the address, or let the role in",
                )
                .at_field("database"),
            ),
        }
    }

    pub(super) fn unread(&self, doing: &str, error: ReadError) -> Stop {
        match error {
            ReadError::Fault(fault) => self.stop(doing, &fault),
            other => Stop::Fail(
                Diagnosis::refusal("HW-ROL-005", with_causes(&other), "correct the field").at_field("watermark"),
            ),
        }
    }

    pub(super) fn unticked(&self, error: TickError) -> Stop {
        match error {
            TickError::Fault(fault) => self.stop("the tick", &fault),
            TickError::Changed { fields, .. } => self.declared_anew(fields.trim_matches('`')),
            bypassed @ TickError::Bypassed { .. } => Stop::Halt {
                why: bypassed.to_string(),
                evidence: format!(
                    "`highwater verify {0}` lists them. `highwater verify {0} --repair` has them computed anew and keeps those whose raw \
                     rows are all gone, with `--remove` it removes these; then `highwater rearm {0} --why …`",
                    self.handle
                ),
                until: None,
            },
            other => Stop::Halt { why: other.to_string(), evidence: String::new(), until: None },
        }
    }
}

/// A full disk mends without a person's word here: whoever watches it frees space, and the next pass goes on.
pub(super) fn full(said: &str) -> Stop {
    let message = format!("the database's disk is full, free space there and the next pass goes on: {said}");
    Stop::checkpoint(Reason::Checkpoint, message)
}

/// Longest statement that is kept as evidence, in bytes.
const EVIDENCE_BYTES_MAX: usize = 2_000;

fn shortened(sql: &str) -> String {
    let end = (0..=EVIDENCE_BYTES_MAX.min(sql.len())).rev().find(|at| sql.is_char_boundary(*at)).unwrap_or(0);
    if end == sql.len() { sql.to_owned() } else { format!("{}…", &sql[..end]) }
}
