//! What is wrong with tokens and with names of headers, which no single value shows. Owns the rules and what a person is told.

use highwater_engine::settings::Problem;

use super::{HeaderText, HostRule, ReceiverSettings};
use crate::digest::Sha256Digest;
use crate::wire::{
    CODE_JUDGE_HEADER, CONTENT_SHA256_HEADER, RECORDED_COMMIT_HEADER, SHA256_HEADER, VERIFIED_HEADER, VERIFY_HEADER,
};

/// Headers that mean something else already: those of HTTP, and those of the two ends.
const TAKEN: [&str; 40] = [
    "accept",
    "accept-encoding",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "location",
    "origin",
    "range",
    "referer",
    "repr-digest",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    CODE_JUDGE_HEADER,
    RECORDED_COMMIT_HEADER,
    CONTENT_SHA256_HEADER,
    VERIFY_HEADER,
    VERIFIED_HEADER,
];
/// The same of each header that begins so.
const TAKEN_BEGINNINGS: [&str; 6] = ["if-", "proxy-", "sec-", "tus-", "upload-", "client-cert"];

impl HeaderText {
    /// Whether a header of this name means something else already.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let name = self.as_str();
        TAKEN.contains(&name) || TAKEN_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    }

    /// What is wrong with it as the header in which a shipper names a commit.
    #[must_use]
    pub fn shipper_problem(&self) -> Option<Problem> {
        (self.is_taken() || self.as_str() == SHA256_HEADER).then(|| self.taken("commit-header", "x-code-commit"))
    }

    fn taken(&self, field: &'static str, default: &str) -> Problem {
        Problem::new(
            field,
            format!("found `{}`, expected a header that means nothing else yet", self.as_str()),
            format!("name one such as `{default}`, or remove it for that"),
        )
    }
}

/// What is wrong with the headers of a receiver.
pub(super) fn headers(settings: &ReceiverSettings) -> Vec<Problem> {
    let (commit, digest) = (&settings.commit_header, &settings.digest_header);
    let mut problems = Vec::new();
    for (header, field, default) in
        [(commit, "commit-header", "x-code-commit"), (digest, "digest-header", SHA256_HEADER)]
    {
        if header.is_taken() {
            problems.push(header.taken(field, default));
        }
    }
    if commit == digest {
        problems.push(Problem::new(
            "digest-header",
            format!("found the header of `commit-header`, `{}`, expected another: it cannot say both", commit.as_str()),
            "name another in one of the two",
        ));
    }
    problems
}

/// What is wrong with the tokens of a receiver.
pub(super) fn tokens(settings: &ReceiverSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let nothing = Sha256Digest::of(b"");
    for (at, token) in settings.tokens.iter().enumerate() {
        if token.sha256 == nothing {
            problems.push(Problem::new(
                format!("tokens[{at}].sha256"),
                "found that of the empty text, which nobody can send: was the variable empty that it was made of?",
                "make it of the token: `printf %s TOKEN | sha256sum`",
            ));
        }
        let same = settings.tokens[..at].iter().position(|other| {
            other.sha256 == token.sha256 && sorted(&other.hosts) != sorted(&token.hosts) && token.sha256 != nothing
        });
        if let Some(other) = same {
            problems.push(Problem::new(
                format!("tokens[{at}].sha256"),
                format!(
                    "found the same token as in `tokens[{other}]` ({:?}), for other hosts: which of the two is meant cannot be told",
                    settings.tokens[other].name
                ),
                "give each a token of its own, or name all the hosts in one of the two and remove the other",
            ));
        }
    }
    problems
}

fn sorted(hosts: &[HostRule]) -> Vec<&HostRule> {
    let mut hosts: Vec<_> = hosts.iter().collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
