//! [`Step`]: the items of a rollup. Owns their keys and what is pinned with them.

use highwater_engine::job::WorkItem;
use highwater_engine::name::ItemKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The key of a tick.
pub const TICK_KEY: &str = "tick";

/// What a rollup's worklist is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The buckets between two times.
    Slice {
        /// The beginning of the first.
        from: Timestamp,
        /// The end of the last.
        to: Timestamp,
        /// How many rows of the source are in it, as far as that was asked.
        #[serde(default, skip_serializing)]
        rows: Option<u64>,
    },
    /// The end of a seed: what is left up to the bound, and the stamp.
    Finish {
        /// Where the slices ended; `None` where there is nothing after them, or nothing at all.
        from: Option<Timestamp>,
        /// When the rollup was installed whose slices they are; `None` of a window of one's own.
        #[serde(default)]
        of: Option<Timestamp>,
        /// Where the slices begin, if events are before that and a person said that their buckets may stay without them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
    },
    /// From one watermark to the next.
    Tick,
    /// Of a change: what is declared now is there beside, empty.
    Beside,
    /// Of a change: the buckets between two times, beside.
    Build {
        /// The beginning of the first.
        from: Timestamp,
        /// The end of the last.
        to: Timestamp,
    },
    /// Of a change: what was built beside comes in the place of what is installed.
    Swap {
        /// Whether frozen buckets may go.
        drop_frozen: bool,
        /// Where the slices begin, and where they end; nothing where there were none.
        built: Option<(Timestamp, Timestamp)>,
    },
}

impl Step {
    /// The key of a step, as people see it: an ISO 8601 interval, open at its end for the last one.
    fn name(&self) -> String {
        match self {
            Self::Slice { from, to, .. } => format!("{from}/{to}"),
            Self::Finish { from: Some(from), .. } => format!("{from}/.."),
            Self::Finish { from: None, .. } => "finish".to_owned(),
            Self::Tick => TICK_KEY.to_owned(),
            Self::Beside => "change/beside".to_owned(),
            Self::Build { from, to } => format!("change/{from}/{to}"),
            Self::Swap { .. } => "change/swap".to_owned(),
        }
    }
}

impl WorkItem for Step {
    fn key(&self) -> ItemKey {
        ItemKey::new(self.name()).expect("invariant: times are short and printable")
    }

    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: times serialize")
    }

    fn decode(_: &ItemKey, payload: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(payload).map_err(|error| error.to_string())
    }

    fn estimate(&self) -> Option<String> {
        match self {
            Self::Slice { rows, .. } => rows.map(|rows| format!("about {rows} rows")),
            Self::Finish { .. } => Some("what came meanwhile, and the watermark".to_owned()),
            Self::Tick | Self::Beside | Self::Build { .. } | Self::Swap { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_it_was_pinned() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let steps = [
            (
                Step::Slice { from: time("2026-01-01T00:00:00Z"), to: time("2026-02-01T00:00:00Z"), rows: None },
                "2026-01-01T00:00:00Z/2026-02-01T00:00:00Z",
            ),
            (
                Step::Finish { from: Some(time("2026-02-01T00:00:00Z")), of: None, since: None },
                "2026-02-01T00:00:00Z/..",
            ),
            (Step::Finish { from: None, of: Some(time("2026-02-01T00:00:00.123Z")), since: None }, "finish"),
            (Step::Finish { from: None, of: None, since: Some(time("2026-01-01T00:00:00Z")) }, "finish"),
            (Step::Tick, "tick"),
            (Step::Beside, "change/beside"),
            (
                Step::Build { from: time("2026-01-01T00:00:00Z"), to: time("2026-02-01T00:00:00Z") },
                "change/2026-01-01T00:00:00Z/2026-02-01T00:00:00Z",
            ),
            (
                Step::Swap {
                    drop_frozen: true,
                    built: Some((time("2026-01-01T00:00:00Z"), time("2026-02-01T00:00:00Z"))),
                },
                "change/swap",
            ),
        ];
        for (step, key) in steps {
            assert_eq!(step.key().as_str(), key);
            assert_eq!(Step::decode(&step.key(), &step.encode()), Ok(step));
        }
        let of_old = br#"{"finish":{"from":null,"of":null}}"#;
        assert_eq!(
            Step::decode(&ItemKey::new("finish").unwrap(), of_old),
            Ok(Step::Finish { from: None, of: None, since: None })
        );
        assert!(Step::decode(&ItemKey::new("x").unwrap(), b"{\"slice\":{}}").is_err());
    }
}
