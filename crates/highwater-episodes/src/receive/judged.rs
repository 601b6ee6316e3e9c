//! The version gate at a receiver's door (R12). Owns what is made of what a shipper says of its code, and the commands it is handed.

use std::time::Duration;

use super::gate::{Claim, Gate, Judge, Verdict};
use crate::gate::{GateSettings, REFRESH_SECS, Standing, VersionGate};
use crate::index::{Commit, Gate as Passed};

/// The gate of a repository.
#[derive(Debug)]
pub struct ByVersion {
    gate: VersionGate,
    remediation: Option<String>,
    judges: Vec<Judge>,
}

impl ByVersion {
    /// A gate that judges as the settings say.
    #[must_use]
    pub fn new(gate: VersionGate, settings: &GateSettings) -> Self {
        Self {
            gate,
            remediation: (!settings.remediation.is_empty()).then(|| settings.remediation.join("\n")),
            judges: settings.judges.clone(),
        }
    }
}

impl Gate for ByVersion {
    fn judge(&self, claim: &Claim) -> Verdict {
        let remediation = self.remediation.clone();
        let unready = || Verdict::Unready { retry_after: Duration::from_secs(REFRESH_SECS) };
        if self.gate.head().is_none() {
            // Who is accepted is not known yet: nobody is turned away for it.
            return unready();
        }
        if !self.judges.contains(&claim.judge) {
            let judges: Vec<&str> = self.judges.iter().map(|judge| judge.word()).collect();
            let detail = format!(
                "found the commit of the code that {}, expected that of: {}",
                claim.judge.word(),
                judges.join(", ")
            );
            return Verdict::Malformed { detail, remediation };
        }
        let Some(text) = &claim.commit else { return Verdict::Missing { remediation } };
        let commit: Commit = match text.parse() {
            Ok(commit) => commit,
            Err(error) => return Verdict::Malformed { detail: format!("{error}"), remediation },
        };
        match self.gate.judge(&commit) {
            Standing::Current => Verdict::Accepted { gate: None },
            Standing::Allowed => Verdict::Accepted { gate: Some(Passed::Allowed) },
            Standing::Outdated { head } => {
                Verdict::Outdated { your_commit: commit.to_string(), head_commit: head.to_string(), remediation }
            }
            Standing::Unready => unready(),
        }
    }

    fn judges(&self) -> Vec<Judge> {
        self.judges.clone()
    }
}
