//! `[[job.NAME.throttle]]`: a signal that slows a job down, and its limit. Owns which fields go with which signal; reading one is
//! [`crate::signal`]'s, or the binary's where a database is asked.

use std::fmt;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{CommandLine, DurationText, FilePath, HttpUrl, Problem, SecretText};
use crate::signal::{READ_TIMEOUT_SECS, STALE_AFTER_SECS};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SignalKind {
    /// The number in the file `path`.
    File,
    /// The number that `command` prints.
    Command,
    /// The number that a GET of `url` answers with.
    Http,
    /// The number that `query` yields in `database`.
    Sql,
    /// The mean time of the last answers of the job's far side, in seconds.
    Latency,
    /// The share of the last answers that were 5xx or did not come, in percent.
    ServerErrors,
    /// How far the slowest standby is behind, in seconds. PostgreSQL.
    ReplicationLag,
    /// How many sessions of the database wait for a lock. PostgreSQL.
    LockWaiters,
    /// How many sessions of the database are at work. PostgreSQL.
    ActiveBackends,
}

impl SignalKind {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Command => "command",
            Self::Http => "http",
            Self::Sql => "sql",
            Self::Latency => "latency",
            Self::ServerErrors => "server-errors",
            Self::ReplicationLag => "replication-lag",
            Self::LockWaiters => "lock-waiters",
            Self::ActiveBackends => "active-backends",
        }
    }

    /// Whether a database is asked.
    #[must_use]
    pub fn asks_a_database(self) -> bool {
        matches!(self, Self::Sql) || self.asks_postgres()
    }

    /// Whether only PostgreSQL can be asked.
    #[must_use]
    pub fn asks_postgres(self) -> bool {
        matches!(self, Self::ReplicationLag | Self::LockWaiters | Self::ActiveBackends)
    }

    /// Whether it is seen by the job's own contacts.
    #[must_use]
    pub fn is_seen_by_contacts(self) -> bool {
        matches!(self, Self::Latency | Self::ServerErrors)
    }

    /// Whether a field of its own belongs to it.
    fn takes(self, field: &str) -> bool {
        match field {
            "path" | "stale-after" => self == Self::File,
            "command" => self == Self::Command,
            "url" | "pointer" => self == Self::Http,
            "query" => self == Self::Sql,
            "database" => self.asks_a_database(),
            "timeout" => !self.is_seen_by_contacts(),
            _ => true,
        }
    }

    /// The field that it cannot do without.
    fn needs(self) -> Option<&'static str> {
        match self {
            Self::File => Some("path"),
            Self::Command => Some("command"),
            Self::Http => Some("url"),
            Self::Sql => Some("query"),
            _ => None,
        }
    }
}

/// The number from which on a far side is unwell: above 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Limit(f64);

impl Limit {
    /// The number, if it can be a limit.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        (number.is_finite() && number > 0.0).then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

struct LimitVisitor;

impl Visitor<'_> for LimitVisitor {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number above 0, such as 5 or 0.5")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Limit, E> {
        Limit::new(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Limit, E> {
        Limit::new(number as f64).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Limit, E> {
        Limit::new(number as f64).ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor)
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "title": "number above 0", "exclusiveMinimum": 0})
    }
}

/// A signal that slows a job down. One whose reading fails, is no number, or is too old counts as unhealthy.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ThrottleSettings {
    /// What is read.
    pub signal: SignalKind,
    /// The number from which on the far side is unwell. Below 40 % of it the job speeds up, above 70 % it slows down; from the
    /// limit on its speed is halved again and again, and a job that works in batches waits.
    pub limit: Limit,
    /// What `status` calls it. Absent: the signal's word.
    #[serde(default)]
    pub name: Option<String>,
    /// `file`: the file that another program keeps writing a number to.
    #[serde(default)]
    pub path: Option<FilePath>,
    /// `file`: an older file is stale, and counts as unhealthy. Absent: a minute.
    #[serde(default)]
    pub stale_after: Option<DurationText>,
    /// `command`: what prints one number and ends with exit 0.
    #[serde(default)]
    pub command: Option<CommandLine>,
    /// `http`: the address.
    #[serde(default)]
    pub url: Option<HttpUrl>,
    /// `http`: where in a JSON answer the number is, such as `/lag/seconds`. Absent: the answer is the number.
    #[serde(default)]
    pub pointer: Option<String>,
    /// `sql`: a query that yields one row of one number.
    #[serde(default)]
    pub query: Option<String>,
    /// Signals of a database: `sqlite:PATH`, or a `postgres://` URL. Absent: the database that the job works in.
    #[serde(default)]
    pub database: Option<SecretText>,
    /// The time one reading may take; one that takes longer counts as unhealthy. Absent: 5 s.
    #[serde(default)]
    pub timeout: Option<DurationText>,
}

impl ThrottleSettings {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.signal.word())
    }

    /// The time one reading may take.
    #[must_use]
    pub fn timeout(&self) -> DurationText {
        self.timeout.unwrap_or(DurationText::secs(READ_TIMEOUT_SECS))
    }

    /// How old a file may be.
    #[must_use]
    pub fn stale_after(&self) -> DurationText {
        self.stale_after.unwrap_or(DurationText::secs(STALE_AFTER_SECS))
    }

    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(path) = &mut self.path {
            path.resolve(base);
        }
    }

    /// What is wrong with the settings as a whole; `at` is where they stand: `throttle[0]`.
    #[must_use]
    pub fn problems(&self, at: &str) -> Vec<Problem> {
        let word = self.signal.word();
        let given = [
            ("path", self.path.is_some()),
            ("stale-after", self.stale_after.is_some()),
            ("command", self.command.is_some()),
            ("url", self.url.is_some()),
            ("pointer", self.pointer.is_some()),
            ("query", self.query.is_some()),
            ("database", self.database.is_some()),
            ("timeout", self.timeout.is_some()),
        ];
        let mut problems = Vec::new();
        if let Some(needed) = self.signal.needs()
            && !given.iter().any(|(field, given)| *field == needed && *given)
        {
            problems.push(Problem::new(
                format!("{at}.{needed}"),
                format!("found no `{needed}`, which `signal = \"{word}\"` reads"),
                format!("add `{needed} = …`"),
            ));
        }
        for (field, _) in given.into_iter().filter(|(field, given)| *given && !self.signal.takes(field)) {
            problems.push(Problem::new(
                format!("{at}.{field}"),
                format!("found `{field}` with `signal = \"{word}\"`, where it has no meaning"),
                format!("remove `{field}`, or correct `signal`"),
            ));
        }
        for (field, duration) in [("timeout", self.timeout), ("stale-after", self.stale_after)] {
            if duration.is_some_and(|duration| duration.get().is_zero()) {
                problems.push(Problem::new(
                    format!("{at}.{field}"),
                    "found no time at all, expected more than 0s: the signal would never be healthy",
                    "correct it, or remove it for the default",
                ));
            }
        }
        if self.pointer.as_deref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            problems.push(Problem::new(
                format!("{at}.pointer"),
                "found a pointer that does not begin with `/`, expected one such as \"/lag/seconds\"",
                "begin it with `/`",
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Vec<String> {
        let settings: ThrottleSettings = serde_json::from_str(json).expect(json);
        settings.problems("throttle[0]").into_iter().map(|problem| problem.field.into_owned()).collect()
    }

    #[test]
    fn each_signal_takes_its_own_fields_and_no_other() {
        for (json, wrong) in [
            (r#"{"signal": "file", "limit": 5, "path": "load", "stale-after": "1m"}"#, &[][..]),
            (r#"{"signal": "file", "limit": 5}"#, &["throttle[0].path"]),
            (r#"{"signal": "lock-waiters", "limit": 5, "database": "postgres://db/a"}"#, &[]),
            (r#"{"signal": "latency", "limit": 0.5, "timeout": "1s"}"#, &["throttle[0].timeout"]),
            (
                r#"{"signal": "command", "limit": 5, "path": "load", "query": "SELECT 1"}"#,
                &["throttle[0].command", "throttle[0].path", "throttle[0].query"],
            ),
            (
                r#"{"signal": "http", "limit": 5, "url": "http://a/", "pointer": "lag", "timeout": "0s"}"#,
                &["throttle[0].timeout", "throttle[0].pointer"],
            ),
        ] {
            assert_eq!(fields(json), wrong, "{json}");
        }
    }

    #[test]
    fn a_limit_is_above_zero() {
        for (json, limit) in [("5", Some(5.0)), ("0.5", Some(0.5)), ("0", None), ("-1", None), ("\"5\"", None)] {
            assert_eq!(serde_json::from_str::<Limit>(json).ok().map(Limit::get), limit, "{json}");
        }
    }
}
