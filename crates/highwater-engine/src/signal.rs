//! The signal: a number that says how well a far side is, and the limit from which on it is unwell. Owns what a reading is and
//! the signals that need no database; what a reading means for the pass is [`crate::throttle`]'s.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::SharedClock;
use crate::diagnosis::with_causes;
use crate::settings::{SignalKind, ThrottleSettings};

pub mod command;
pub mod far_side;
pub mod file;
pub mod http;

use command::CommandSignal;
use far_side::{Aspect, FarSide, FarSideSignal};
use file::FileSignal;
use http::HttpSignal;

/// How long a reading may take where nothing else is said, in seconds.
pub const READ_TIMEOUT_SECS: u64 = 5;
/// How old a reading may be where nothing else is said, in seconds: an older one is stale (R17).
pub const STALE_AFTER_SECS: u64 = 60;
/// Most bytes of a number as it is read from a file, a command or an address.
pub const NUMBER_BYTES_MAX: usize = 4_096;
/// How much is shown of what was read and is no number, in characters.
const SHOWN_CHARS: usize = 40;

/// A number, and how old it was when it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The number, in the signal's own unit.
    pub value: f64,
    /// How long ago it was true.
    pub age: Duration,
}

impl Reading {
    /// A number as of now.
    #[must_use]
    pub fn now(value: f64) -> Self {
        Self { value, age: Duration::ZERO }
    }
}

/// Why a signal gave no reading. Each counts as unhealthy (R17).
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// There is something, and it is no number of at least 0.
    #[error("found {found}, expected a number of at least 0")]
    NoNumber {
        /// What there is, shortened.
        found: String,
    },
    /// It could not be read.
    #[error("{doing}")]
    Failed {
        /// What failed: `cannot read /run/load`.
        doing: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was asked said that it failed.
    #[error("{said}")]
    Refused {
        /// What it said.
        said: String,
    },
    /// It did not answer in time.
    #[error("no answer within {}", shown(*after))]
    Late {
        /// How long it was waited for.
        after: Duration,
    },
    /// It answered with what is too old.
    #[error("stale: {} old, at most {}", shown(*age), shown(*limit))]
    Stale {
        /// How old.
        age: Duration,
        /// How old it may be.
        limit: Duration,
    },
}

impl SignalError {
    /// The error with its causes, in one line.
    #[must_use]
    pub fn told(&self) -> String {
        with_causes(self)
    }
}

/// A number that is read again and again while a pass runs.
#[async_trait]
pub trait Signal: Send + Sync + 'static {
    /// What people call it.
    fn name(&self) -> &str;

    /// The number from which on the far side is unwell; above 0.
    fn limit(&self) -> f64;

    /// How long one reading may take.
    fn timeout(&self) -> Duration {
        Duration::from_secs(READ_TIMEOUT_SECS)
    }

    /// How old a reading may be.
    fn stale_after(&self) -> Duration {
        Duration::from_secs(STALE_AFTER_SECS)
    }

    /// Reads it. Dropped when it takes too long, or when the pass ends.
    ///
    /// # Errors
    /// [`SignalError`]; whatever it is, the signal counts as unhealthy until the next reading.
    async fn read(&self) -> Result<Reading, SignalError>;
}

/// What every signal is told: what people call it, its limit, and how long it is waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// What people call it.
    pub name: String,
    /// The number from which on the far side is unwell; above 0.
    pub limit: f64,
    /// How long one reading may take.
    pub timeout: Duration,
}

impl Watched {
    /// What settings say of it.
    #[must_use]
    pub fn of(settings: &ThrottleSettings) -> Self {
        Self { name: settings.name().to_owned(), limit: settings.limit.get(), timeout: settings.timeout().get() }
    }
}

/// The signal that settings describe; `None` where a database is asked, which the engine cannot do. Commands run in `directory`.
#[must_use]
pub fn of_settings(
    settings: &ThrottleSettings,
    directory: &Path,
    clock: &SharedClock,
    far_side: &Arc<FarSide>,
) -> Option<Arc<dyn Signal>> {
    let watched = Watched::of(settings);
    let seen = |aspect| {
        let Watched { name, limit, .. } = Watched::of(settings);
        Arc::new(FarSideSignal { name, limit, aspect, far_side: Arc::clone(far_side) }) as Arc<dyn Signal>
    };
    match settings.signal {
        SignalKind::File => Some(Arc::new(FileSignal {
            watched,
            path: settings.path.as_ref()?.to_path_buf(),
            stale_after: settings.stale_after().get(),
            clock: Arc::clone(clock),
        })),
        SignalKind::Command => Some(Arc::new(CommandSignal {
            watched,
            command: settings.command.clone()?,
            directory: directory.to_owned(),
            clock: Arc::clone(clock),
        })),
        SignalKind::Http => Some(Arc::new(HttpSignal {
            watched,
            url: settings.url.clone()?,
            pointer: settings.pointer.clone(),
            client: OnceLock::new(),
        })),
        SignalKind::Latency => Some(seen(Aspect::Latency)),
        SignalKind::ServerErrors => Some(seen(Aspect::ServerErrors)),
        SignalKind::Sql | SignalKind::ReplicationLag | SignalKind::LockWaiters | SignalKind::ActiveBackends => None,
    }
}

/// The number that a text is, white space around it aside.
///
/// # Errors
/// [`SignalError::NoNumber`] where it is none, not finite, or below 0: scripts say -1 when they do not know.
pub fn number(text: &[u8]) -> Result<f64, SignalError> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0).ok_or_else(|| {
        let found = match text.chars().count() {
            0 => "nothing".to_owned(),
            1..=SHOWN_CHARS => format!("{text:?}"),
            _ => format!("{:?}…", text.chars().take(SHOWN_CHARS).collect::<String>()),
        };
        SignalError::NoNumber { found }
    })
}

/// A duration as people read it, to the millisecond.
fn shown(span: Duration) -> String {
    crate::settings::DurationText::millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r17_what_is_no_number_is_told_for_what_it_is() {
        for (text, value) in [("3", 3.0), (" 0.25\n", 0.25), ("1e3", 1_000.0), ("0", 0.0)] {
            assert_eq!(number(text.as_bytes()).unwrap(), value, "{text}");
        }
        let long = "x".repeat(100);
        for (text, found) in [
            ("", "nothing"),
            (" \n", "nothing"),
            ("ok", "\"ok\""),
            ("-1", "\"-1\""),
            ("NaN", "\"NaN\""),
            ("inf", "\"inf\""),
            ("3 4", "\"3 4\""),
            ("5%", "\"5%\""),
            (&long, "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"…"),
        ] {
            let error = number(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("found {found}, expected a number of at least 0"));
        }
        assert!(number(&[b'3', 0xff]).is_err());
    }
}
