//! What a ping is answered with. Owns what of it is read, what makes it a receiver's, and what it means for an upload.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Answer, GATE_MISSING, Refusal, Remediation};
use crate::name::HostId;

/// What a receiver says in a pong; whoever says none of it is none.
const PONG_FIELDS: [&str; 5] = ["receiver", "you", "hosts", "clock", "gate"];

/// Whether this is what a receiver answers to a ping.
pub(in crate::ship) fn is_pong(body: &[u8]) -> bool {
    let object: Option<Map<String, Value>> = serde_json::from_slice(body).ok();
    object.is_some_and(|object| PONG_FIELDS.iter().any(|field| object.contains_key(*field)))
}

/// What a ping is answered with, as far as it is read; a receiver that says nothing of a part has nothing against it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pong {
    /// The hosts that this one may write to: a list, or `"*"`.
    hosts: Option<Hosts>,
    gate: PongGate,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Hosts {
    Listed(Vec<String>),
    #[expect(dead_code, reason = "whatever the word is, it is no list")]
    All(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PongGate {
    verdict: Option<String>,
    detail: Option<String>,
    your_commit: Option<String>,
    head_commit: Option<String>,
    remediation: Option<Remediation>,
}

impl Pong {
    /// Reads one. `None` where the answer is none: a page, a list, or an object that says nothing a receiver says.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        is_pong(body).then(|| serde_json::from_slice(body).ok())?
    }

    /// Where the gate puts everybody off until it has read its repository: what is told of that.
    pub(super) fn unready(&self) -> Option<String> {
        let detail = self.gate.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let is_unready = self.gate.verdict.as_deref() == Some("unready");
        is_unready.then(|| format!("the receiver's gate has read no commits yet{detail}"))
    }

    pub(super) fn answer(self, host: &HostId) -> Answer {
        let Self { hosts, gate } = self;
        if let Some(Hosts::Listed(hosts)) = &hosts
            && !hosts.iter().any(|listed| listed == host.as_str())
        {
            let told = format!("403: this host may write to {}, not to {host}", hosts.join(", "));
            return Answer::Refused(Refusal { status: 403, told, ..Refusal::default() });
        }
        let remediation = gate.remediation.map(Remediation::commands).unwrap_or_default();
        let refused = |status: u16, told: String| Refusal { status, told, remediation, ..Refusal::default() };
        match gate.verdict.as_deref() {
            Some("outdated") => {
                let unsaid = || "not said".to_owned();
                let (yours, head) = (gate.your_commit.unwrap_or_else(unsaid), gate.head_commit.unwrap_or_else(unsaid));
                let told =
                    format!("412: the code is out of date: commit {yours}; the newest that is accepted is {head}");
                Answer::Gate(refused(412, told))
            }
            Some(verdict @ ("missing" | "malformed")) => {
                let detail = gate.detail.map(|detail| format!(": {detail}")).unwrap_or_default();
                let code = (verdict == "missing").then(|| GATE_MISSING.to_owned());
                Answer::Gate(Refusal {
                    code,
                    ..refused(400, format!("400: the commit of the code is {verdict}{detail}"))
                })
            }
            _ => Answer::Ok,
        }
    }
}
