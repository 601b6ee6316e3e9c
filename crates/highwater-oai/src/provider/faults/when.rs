//! When a fault strikes. Owns the conditions and how they are written.

use crate::protocol::Verb;

/// How a condition is written, and what it means.
pub(super) const CATALOGUE: &[(&str, &str)] = &[
    ("N", "the N-th request that the fault could strike, from 1"),
    ("N..M", "from the N-th to the M-th, both included; N.. has no end"),
    ("*N", "every N-th"),
    ("verb:VERB", "requests of this verb"),
    ("id:SUFFIX", "requests that name a record whose identifier ends so"),
    ("token", "requests that carry a resumption token"),
];

/// What is known of a request before it is answered.
#[derive(Debug, Clone, Copy)]
pub(in crate::provider) struct Target<'a> {
    pub(in crate::provider) verb: Option<Verb>,
    pub(in crate::provider) identifier: Option<&'a str>,
    pub(in crate::provider) resumes: bool,
}

impl Target<'_> {
    /// Whether it asks for headers or records.
    pub(super) fn lists(&self) -> bool {
        matches!(self.verb, Some(Verb::ListIdentifiers | Verb::ListRecords))
    }

    /// Whether it names a record that ends so.
    pub(super) fn names(&self, suffix: &str) -> bool {
        self.identifier.is_some_and(|identifier| identifier.ends_with(suffix))
    }
}

/// Which of the requests that a fault could strike it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// These, both included.
    Between(u64, u64),
    Every(u64),
}

/// When a fault strikes; by default always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct When {
    count: Option<Count>,
    verb: Option<Verb>,
    suffix: Option<String>,
    resumes: bool,
}

impl When {
    /// Reads conditions between commas, all of which must hold.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut when = Self::default();
        for condition in text.split(',') {
            if condition == "token" {
                when.resumes = true;
            } else if let Some(verb) = condition.strip_prefix("verb:") {
                let known = Verb::ALL.into_iter().find(|known| known.as_str() == verb);
                when.verb = Some(known.ok_or_else(|| format!("names {verb:?}, which is no verb"))?);
            } else if let Some(suffix) = condition.strip_prefix("id:").filter(|suffix| !suffix.is_empty()) {
                when.suffix = Some(suffix.to_owned());
            } else if when.count.replace(Count::read(condition)?).is_some() {
                return Err("has two counts".to_owned());
            }
        }
        Ok(when)
    }

    /// Whether it counts such a request.
    pub(super) fn befalls(&self, target: &Target<'_>) -> bool {
        self.verb.is_none_or(|verb| target.verb == Some(verb))
            && self.suffix.as_ref().is_none_or(|suffix| target.names(suffix))
            && (target.resumes || !self.resumes)
    }

    /// Whether it strikes the `nth` of those that it counts.
    pub(super) fn strikes(&self, nth: u64) -> bool {
        match self.count {
            None => true,
            Some(Count::Between(first, last)) => (first..=last).contains(&nth),
            Some(Count::Every(step)) => nth.is_multiple_of(step),
        }
    }
}

impl Count {
    fn read(text: &str) -> Result<Self, String> {
        let unknown = || format!("strikes at {text:?}, which is none of N, N..M, *N, verb:VERB, id:SUFFIX and token");
        let number = |text: &str| text.parse().ok().filter(|&n: &u64| n > 0).ok_or_else(unknown);
        if let Some(step) = text.strip_prefix('*') {
            return Ok(Self::Every(number(step)?));
        }
        let (first, last) = match text.split_once("..") {
            None => (number(text)?, number(text)?),
            Some((first, "")) => (number(first)?, u64::MAX),
            Some((first, last)) => (number(first)?, number(last)?),
        };
        if first > last { Err(format!("ends before it begins: {text}")) } else { Ok(Self::Between(first, last)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn counts_are_from_one_with_both_ends_included() {
        let struck = |text: &str| {
            let when = When::read(text).unwrap();
            (1..=9).filter(|&nth| when.strikes(nth)).map(|nth| nth.to_string()).collect::<String>()
        };
        assert_eq!(struck("3"), "3");
        assert_eq!(struck("2..4"), "234");
        assert_eq!(struck("7.."), "789");
        assert_eq!(struck("*4"), "48");
        assert_eq!(struck("token"), "123456789");
    }
}
