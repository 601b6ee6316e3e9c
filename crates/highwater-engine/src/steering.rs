//! Steering: what a person changed of a job by `set`, until `unset`. Owns the keys, what each takes, and what a pass makes of
//! them; the ledger keeps them as text, and every pass of the job on that ledger obeys them before its next item.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::budget::Budget;
use crate::ledger::Override;
use crate::settings::{ByteRate, ByteSize, Concurrency, Count, DurationText, Percent, ValueError};

/// What can be steered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SteeringKey {
    /// The wait between two contacts.
    Pace,
    /// How much of it is random.
    Jitter,
    /// Items prepared at once.
    Concurrency,
    /// Items a pass may begin.
    MaxItems,
    /// Contacts a pass may make.
    MaxContacts,
    /// Bytes a pass may move.
    MaxBytes,
    /// Time a pass may take.
    MaxTime,
    /// Bytes a second that its uploads may send, for kinds that upload.
    Bandwidth,
    /// How much time a slice covers, for kinds that work in slices.
    Slice,
    /// Whether signals are heeded.
    Throttle,
}

/// A value that a key does not take, or a key that there is none of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SteeringError {
    /// There is no such key.
    #[error("found the key `{found}`, expected one of {}", listed())]
    UnknownKey {
        /// What was given.
        found: String,
    },
    /// The key takes something else.
    #[error("{key}: found {found:?}, expected {expected}")]
    BadValue {
        /// The key.
        key: SteeringKey,
        /// What was given.
        found: String,
        /// What it takes.
        expected: String,
    },
}

fn listed() -> String {
    SteeringKey::ALL.map(|key| format!("`{key}`")).join(", ")
}

impl SteeringKey {
    /// Every key, in the order of `status`.
    pub const ALL: [Self; 10] = [
        Self::Pace,
        Self::Jitter,
        Self::Concurrency,
        Self::MaxItems,
        Self::MaxContacts,
        Self::MaxBytes,
        Self::MaxTime,
        Self::Bandwidth,
        Self::Slice,
        Self::Throttle,
    ];

    /// As it is typed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pace => "pace",
            Self::Jitter => "jitter",
            Self::Concurrency => "concurrency",
            Self::MaxItems => "max-items",
            Self::MaxContacts => "max-contacts",
            Self::MaxBytes => "max-bytes",
            Self::MaxTime => "max-time",
            Self::Bandwidth => "bandwidth",
            Self::Slice => "slice",
            Self::Throttle => "throttle",
        }
    }

    /// The value as it is kept, if the key takes it.
    ///
    /// # Errors
    /// [`SteeringError::BadValue`].
    pub fn check(self, value: &str) -> Result<String, SteeringError> {
        Steering::default().with(self, value)?;
        Ok(value.trim().to_owned())
    }
}

impl fmt::Display for SteeringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for SteeringKey {
    type Err = SteeringError;

    fn from_str(text: &str) -> Result<Self, SteeringError> {
        let key = Self::ALL.into_iter().find(|key| key.word() == text);
        key.ok_or_else(|| SteeringError::UnknownKey { found: text.to_owned() })
    }
}

/// What a person set; what is absent is as the configuration has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steering {
    /// The wait between two contacts, of each of the job's resources. The throttle does not stretch it.
    pub pace: Option<Duration>,
    /// How much of the wait is random.
    pub jitter: Option<Percent>,
    /// Items prepared at once.
    pub concurrency: Option<Concurrency>,
    /// Items a pass may begin.
    pub max_items: Option<Count>,
    /// Contacts a pass may make.
    pub max_contacts: Option<Count>,
    /// Bytes a pass may move.
    pub max_bytes: Option<ByteSize>,
    /// Time a pass may take, from its begin.
    pub max_time: Option<Duration>,
    /// Bytes a second that its uploads may send.
    pub bandwidth: Option<ByteRate>,
    /// How much time a slice covers. The throttle does not shrink it.
    pub slice: Option<Duration>,
    /// `false`: signals are not heeded.
    pub throttle: Option<bool>,
}

impl Steering {
    /// What overrides come to. One that this program cannot read is left out: a newer one may have written it.
    #[must_use]
    pub fn of(overrides: &[Override]) -> Self {
        overrides.iter().fold(Self::default(), |so_far, set| {
            set.key.parse().and_then(|key| so_far.with(key, &set.value)).unwrap_or(so_far)
        })
    }

    /// The same with one key more.
    ///
    /// # Errors
    /// [`SteeringError::BadValue`].
    pub fn with(mut self, key: SteeringKey, value: &str) -> Result<Self, SteeringError> {
        let value = value.trim();
        let bad =
            |expected: &str| SteeringError::BadValue { key, found: value.to_owned(), expected: expected.to_owned() };
        let text = |error: ValueError| bad(error.expected);
        let duration = || value.parse::<DurationText>().map_err(text);
        let a_second = |duration: DurationText| match duration.get() < Duration::from_secs(1) {
            true => Err(bad("a duration of at least 1s, such as \"10m\"")),
            false => Ok(Some(duration.get())),
        };
        let count = || value.parse().ok().and_then(Count::new).ok_or_else(|| bad("a whole number of at least 1"));
        match key {
            SteeringKey::Pace => self.pace = Some(duration()?.get()),
            SteeringKey::Jitter => self.jitter = Some(value.parse().map_err(text)?),
            SteeringKey::Concurrency => {
                let number = value.parse().ok().and_then(Concurrency::new);
                self.concurrency = Some(number.ok_or_else(|| bad("a whole number from 1 to 1024"))?);
            }
            SteeringKey::MaxItems => self.max_items = Some(count()?),
            SteeringKey::MaxContacts => self.max_contacts = Some(count()?),
            SteeringKey::MaxBytes => self.max_bytes = Some(value.parse().map_err(text)?),
            SteeringKey::MaxTime => self.max_time = a_second(duration()?)?,
            SteeringKey::Bandwidth => self.bandwidth = Some(value.parse().map_err(text)?),
            SteeringKey::Slice => self.slice = a_second(duration()?)?,
            SteeringKey::Throttle => {
                self.throttle = match value {
                    "on" => Some(true),
                    "off" => Some(false),
                    _ => return Err(bad("`on` or `off`")),
                }
            }
        }
        Ok(self)
    }

    /// The budget with what was set in the place of what was configured.
    #[must_use]
    pub fn budget(&self, configured: &Budget) -> Budget {
        Budget {
            items: self.max_items.map(Count::get).or(configured.items),
            contacts: self.max_contacts.map(Count::get).or(configured.contacts),
            bytes: self.max_bytes.map(ByteSize::bytes).or(configured.bytes),
            time: self.max_time.or(configured.time),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::Who;

    #[test]
    fn every_key_takes_what_the_configuration_takes_and_refuses_what_it_refuses() {
        for (key, good, bad) in [
            (SteeringKey::Pace, "0s", "5"),
            (SteeringKey::Jitter, "20%", "20"),
            (SteeringKey::Concurrency, "1024", "0"),
            (SteeringKey::MaxItems, "1", "0"),
            (SteeringKey::MaxContacts, "500", "many"),
            (SteeringKey::MaxBytes, "64MiB", "0B"),
            (SteeringKey::MaxTime, "10m", "0s"),
            (SteeringKey::Bandwidth, "2MiB/s", "2MiB"),
            (SteeringKey::Slice, "7d", "1 month"),
            (SteeringKey::Throttle, "off", "no"),
        ] {
            assert_eq!(key.check(&format!(" {good} ")), Ok(good.to_owned()), "{key}");
            assert!(matches!(key.check(bad), Err(SteeringError::BadValue { .. })), "{key}={bad}");
            assert_eq!(key.word().parse(), Ok(key));
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_the_rest_counts() {
        let set = |key: &str, value: &str| Override {
            key: key.to_owned(),
            value: value.to_owned(),
            at: Timestamp::UNIX_EPOCH,
            who: Who("alice@a".to_owned()),
            why: String::new(),
        };
        let steering =
            Steering::of(&[set("pace", "5s"), set("colour", "red"), set("slice", "?"), set("max-items", "7")]);
        assert_eq!(
            steering,
            Steering { pace: Some(Duration::from_secs(5)), max_items: Count::new(7), ..Steering::default() }
        );
        let configured = Budget { items: Some(1), contacts: Some(2), ..Budget::default() };
        assert_eq!(steering.budget(&configured), Budget { items: Some(7), contacts: Some(2), ..Budget::default() });
    }
}
