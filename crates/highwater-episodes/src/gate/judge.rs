//! Whose commit is judged: the word that a shipper sends, a receiver accepts, and both are configured with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which code is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    /// That which recorded the episode.
    #[default]
    Recorded,
    /// That which sends it.
    Ships,
}

impl Judge {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Recorded, Self::Ships];

    /// As it is written in a header.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Ships => "ships",
        }
    }

    /// Reads it as it is written in a header.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|judge| judge.word() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_and_the_configuration_say_it_with_the_same_word() {
        for judge in Judge::ALL {
            assert_eq!(Judge::read(judge.word()), Some(judge));
            assert_eq!(serde_json::to_value(judge).unwrap(), judge.word());
        }
        assert_eq!(Judge::read("me"), None);
    }
}
