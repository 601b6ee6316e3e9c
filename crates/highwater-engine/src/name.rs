//! Names and numbers that identify things in the ledger. Owns their validation; knows nothing of what they name.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name of a job, in bytes.
pub const JOB_NAME_BYTES_MAX: usize = 128;
/// Longest name of a resource, in bytes; the name of an unnamed one holds a lock's path.
pub const RESOURCE_NAME_BYTES_MAX: usize = 4200;
/// Longest key of an item, in bytes: the longest path Linux takes.
pub const ITEM_KEY_BYTES_MAX: usize = 4096;

/// A name or key that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct NameError {
    /// What was to be named.
    pub what: &'static str,
    /// What it may look like.
    pub expected: &'static str,
    /// What was given, shortened.
    pub found: String,
}

fn shortened(text: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if text.chars().count() > SHOWN_CHARS {
        shown.push('…');
    }
    format!("{shown:?}")
}

macro_rules! text_name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
    };
}

text_name! {
    /// The name of a job, as in `[job.NAME]`.
    JobName
}
text_name! {
    /// The name of a resource: `[resource.NAME]`, `job:NAME` for a job's own, `lock:PATH` for one without a config file.
    ResourceName
}
text_name! {
    /// What makes an item itself in the ledger: the same key is the same item.
    ItemKey
}

impl JobName {
    /// Takes `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
    ///
    /// # Errors
    /// [`NameError`] when the text has another shape.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let ok = text.len() <= JOB_NAME_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(plain);
        if ok {
            Ok(Self(text))
        } else {
            Err(NameError {
                what: "job name",
                expected: "a letter or digit, then up to 127 of letters, digits, `.`, `_`, `-`",
                found: shortened(&text),
            })
        }
    }
}

impl ResourceName {
    /// Takes any printable text without control characters.
    ///
    /// # Errors
    /// [`NameError`] when the text is empty, too long or holds control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if !text.is_empty() && text.len() <= RESOURCE_NAME_BYTES_MAX && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(NameError {
                what: "resource name",
                expected: "1 to 4200 bytes without control characters",
                found: shortened(&text),
            })
        }
    }

    /// The resource that a job has when its config names none.
    #[must_use]
    pub fn of_job(job: &JobName) -> Self {
        Self(format!("job:{job}"))
    }
}

impl ItemKey {
    /// Takes 1 to 4096 bytes without NUL.
    ///
    /// # Errors
    /// [`NameError`] when the text is empty, too long or holds a NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if !text.is_empty() && text.len() <= ITEM_KEY_BYTES_MAX && !text.contains('\0') {
            Ok(Self(text))
        } else {
            Err(NameError {
                what: "item key",
                expected: "1 to 4096 bytes of UTF-8 without NUL",
                found: shortened(&text),
            })
        }
    }
}

macro_rules! number {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The number of a pass, counted up in its ledger.
    PassId
}
number! {
    /// The number of a worklist, counted up in its ledger.
    WorklistId
}
number! {
    /// How often a resource's lock has been taken: a write that carries an older one is refused (R16).
    LockEpoch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_what_they_should_and_nothing_else() {
        assert!(JobName::new("nightly-2.x_y").is_ok());
        for bad in ["", "-x", ".done", "a b", "a/b", "ü", &"x".repeat(129)] {
            assert!(JobName::new(bad).is_err(), "{bad}");
        }
        assert!(ResourceName::new("lock:/var/lock/a b.lock").is_ok());
        assert!(ResourceName::new("a\nb").is_err());
        assert!(ItemKey::new("a\nb").is_ok());
        assert!(ItemKey::new("").is_err());
        assert!(ItemKey::new("x".repeat(ITEM_KEY_BYTES_MAX + 1)).is_err());
    }
}
