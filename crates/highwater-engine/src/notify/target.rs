//! A target of notices: one `[[notify]]` entry. Owns where it is, which changes it wants, and what is said when it cannot be
//! reached: never a path, a query, a header or an argument, which may hold secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::Duration;

use super::message::shape;
use super::{command, webhook};
use crate::clock::Clock;
use crate::ledger::Notice;
use crate::settings::{CommandLine, HttpUrl, NotifyEvent, NotifySettings, NotifyTemplate, Problem, SecretText};

/// Where notices go, in which shape, and which.
#[derive(Debug, Clone)]
pub struct Target {
    place: Place,
    template: NotifyTemplate,
    on: Vec<NotifyEvent>,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Place {
    Url { url: HttpUrl, headers: BTreeMap<String, SecretText> },
    Command { line: CommandLine, directory: PathBuf },
    Nowhere { why: String },
}

impl Target {
    /// The target that an entry describes; its command is started in `directory`, the config file's.
    ///
    /// # Errors
    /// What is wrong with the entry, as [`NotifySettings::problems`] says it.
    pub fn new(settings: &NotifySettings, directory: &Path) -> Result<Self, Vec<Problem>> {
        let place = match (&settings.url, &settings.command) {
            (Some(url), None) => Place::Url { url: url.clone(), headers: settings.headers.clone() },
            (None, Some(line)) => Place::Command { line: line.clone(), directory: directory.to_owned() },
            _ => return Err(settings.problems()),
        };
        Ok(Self { place, template: settings.template, on: settings.on.clone(), timeout: settings.timeout.get() })
    }

    /// A target that cannot be reached from here, and why; its notices wait for a pass that can.
    #[must_use]
    pub fn out_of_reach(on: Vec<NotifyEvent>, why: String) -> Self {
        Self { place: Place::Nowhere { why }, template: NotifyTemplate::default(), on, timeout: Duration::ZERO }
    }

    pub(super) fn wants(&self, event: NotifyEvent) -> bool {
        self.on.contains(&event)
    }

    /// The longest that a delivery may take.
    pub(super) fn span(&self) -> Duration {
        self.timeout
    }

    /// Delivers a notice.
    pub(super) async fn deliver(
        &self,
        clock: &dyn Clock,
        http: &OnceLock<reqwest::Client>,
        notice: &Notice,
    ) -> Result<(), Undelivered> {
        let shaped = shape(notice, self.template);
        let span = self.span();
        let delivery = async {
            match &self.place {
                Place::Url { url, headers } => webhook::post(clock, http, url, headers, shaped).await,
                Place::Command { line, directory } => command::run(line, directory, shaped.body).await,
                Place::Nowhere { why } => Err(Undelivered::OutOfReach { why: why.clone() }),
            }
        };
        tokio::select! {
            biased;
            delivered = delivery => delivered,
            () = clock.sleep(span) => Err(Undelivered::TimedOut { place: self.place.to_string(), span }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, .. } => url.fmt(f),
            Self::Command { line, .. } => write!(f, "`{}`", line.program),
            Self::Nowhere { .. } => f.write_str("a target that cannot be used"),
        }
    }
}

/// Why a notice was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undelivered {
    /// The config that queued it had more entries.
    #[error("this config has no `[[notify]]` number {number}")]
    NoTarget {
        /// Counted from 1.
        number: u64,
    },
    /// Told when the run began, and not again at each notice.
    #[error("{why}")]
    OutOfReach { why: String },
    #[error("{place} took longer than {} ms and was given up", span.as_millis())]
    TimedOut { place: String, span: Duration },
    #[error("the header {name:?} for {place} has a name or a value that HTTP does not take")]
    Header { name: String, place: String },
    #[error("{place} could not be reached")]
    Unreached {
        place: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{place} answered {status}, expected 2xx")]
    Answered { place: String, status: reqwest::StatusCode, asked_wait: Duration },
    #[error("`{program}` could not be started")]
    NotStarted {
        program: String,
        #[source]
        source: std::io::Error,
    },
    #[error("`{program}` ended with {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Ended { program: String, status: ExitStatus, said: String },
}

impl Undelivered {
    /// How long the target asks to be left alone; zero when it does not.
    pub(super) fn asked_wait(&self) -> Duration {
        match self {
            Self::Answered { asked_wait, .. } => *asked_wait,
            _ => Duration::ZERO,
        }
    }
}
