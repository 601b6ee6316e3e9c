//! Faults: what a provider does wrong, on purpose and on command, so that a harvest of it can be tested. Owns their names,
//! how they are written and when they strike; each is one that real repositories have shown.

mod damage;
mod delivery;
mod fault;
mod skew;
mod stead;
mod when;

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use delivery::{AsIs, hang_up};
pub(super) use fault::Fault;
pub(super) use stead::Stead;
pub(super) use when::Target;

use when::When;

/// Text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the fault {found:?} {why}; it is written NAME[=ARGUMENT][@WHEN], for instance 429=30@5 or hang@verb:GetRecord,2..4"
)]
pub struct FaultError {
    /// The text.
    pub found: String,
    /// What is wrong with it.
    pub why: String,
}

/// A fault and when it strikes: `NAME[=ARGUMENT][@WHEN]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    fault: Fault,
    when: When,
}

impl FromStr for FaultRule {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (what, when) = text.split_once('@').map_or((text, None), |(what, when)| (what, Some(when)));
        let (name, argument) = what.split_once('=').map_or((what, None), |(name, argument)| (name, Some(argument)));
        let read = || {
            let fault = Fault::read(name, argument)?;
            let when = when.map_or(Ok(When::default()), When::read)?;
            Ok(Self { fault, when })
        };
        read().map_err(|why| FaultError { found: text.to_owned(), why })
    }
}

/// Faults, in the order in which they strike a request that meets several: the first that answers in the provider's stead ends
/// it, the others add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<FaultRule>);

impl Faults {
    /// All of them: how each is written, and what it does.
    pub const CATALOGUE: &'static [(&'static str, &'static str)] = fault::CATALOGUE;

    /// How `WHEN` is written, and what it means.
    pub const WHEN: &'static [(&'static str, &'static str)] = when::CATALOGUE;
}

impl FromIterator<FaultRule> for Faults {
    fn from_iter<T: IntoIterator<Item = FaultRule>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// Faults and how many requests each could have struck so far.
#[derive(Debug)]
pub(super) struct Armed(Vec<(FaultRule, AtomicU64)>);

impl Armed {
    pub(super) fn new(faults: &Faults) -> Self {
        Self(faults.0.iter().map(|rule| (rule.clone(), AtomicU64::new(0))).collect())
    }

    /// The faults that strike a request, which is counted by those it could have met.
    pub(super) fn strike(&self, target: &Target<'_>) -> Vec<&Fault> {
        let strikes = |(rule, count): &&(FaultRule, AtomicU64)| {
            let FaultRule { fault, when } = rule;
            fault.befalls(target) && when.befalls(target) && when.strikes(count.fetch_add(1, Ordering::Relaxed) + 1)
        };
        self.0.iter().filter(strikes).map(|(rule, _)| &rule.fault).collect()
    }

    /// Whether there is such a fault at all.
    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.0.iter().any(|(rule, _)| rule.fault == *fault)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;
    use crate::protocol::Verb;

    #[test]
    fn a_fault_that_cannot_be_read_is_told_with_what_would_be() {
        let when = |text| format!("strikes at {text:?}, which is none of N, N..M, *N, verb:VERB, id:SUFFIX and token");
        for (text, why) in [
            ("429=soon", "has the argument \"soon\", which is no number".to_owned()),
            ("html=1@3", "takes no argument \"1\"".to_owned()),
            ("poison-xml", "needs the end of an identifier".to_owned()),
            ("truncate=101", "has 101 %, expected less than 100".to_owned()),
            ("wrong-total=many", "has the argument \"many\", which is no number".to_owned()),
            ("wrong-namespace=other", "takes no argument \"other\"".to_owned()),
            ("html@", when("")),
            ("html@0", when("0")),
            ("html@*0", when("*0")),
            ("html@id:", when("id:")),
            ("html@5..2", "ends before it begins: 5..2".to_owned()),
            ("html@verb:Get", "names \"Get\", which is no verb".to_owned()),
            ("html@2,3", "has two counts".to_owned()),
        ] {
            assert_eq!(text.parse::<FaultRule>(), Err(FaultError { found: text.to_owned(), why }));
        }
        let told = "430@2".parse::<FaultRule>().unwrap_err().to_string();
        assert!(told.starts_with("the fault \"430@2\" has no name that is known (429, 503, 500,"), "{told}");
        assert!(told.ends_with("NAME[=ARGUMENT][@WHEN], for instance 429=30@5 or hang@verb:GetRecord,2..4"), "{told}");
    }

    #[test]
    fn a_rule_counts_the_requests_that_it_could_strike_and_no_others() {
        let armed = Armed::new(
            &["html@verb:GetRecord,id:/2,2", "expired-token@2.."]
                .map(|text| text.parse().unwrap())
                .into_iter()
                .collect(),
        );
        let get = |identifier| Target { verb: Some(Verb::GetRecord), identifier: Some(identifier), resumes: false };
        let next = Target { verb: Some(Verb::ListRecords), identifier: None, resumes: true };
        let first = Target { resumes: false, ..next };
        let mut struck = Vec::new();
        for target in [get("x/2"), get("x/1"), first, next, get("x/2"), get("x/2"), next, next] {
            struck.push(armed.strike(&target).iter().map(|fault| fault.name()).collect::<String>());
        }
        assert_eq!(struck, ["", "", "", "", "html", "", "expired-token", "expired-token"]);
    }
}
