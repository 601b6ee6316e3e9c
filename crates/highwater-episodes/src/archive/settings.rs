//! How archives are compressed. Owns the fields, their bounds and defaults; what they do to the content hash is nothing.

use highwater_engine::settings::Whole;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WINDOW_LOG_MAX;

/// Most threads that compress one episode.
const THREADS_MAX: u64 = 8;
/// Smallest window of `long`: below it, zstd's own are larger.
const WINDOW_LOG_MIN: u64 = 20;
const LEVEL_DEFAULT: u64 = 3;

/// A compression level of zstd.
pub type Level = Whole<1, 22>;
/// How many threads compress one episode; 0: the one that packs it.
pub type Threads = Whole<0, THREADS_MAX>;
/// A zstd window as a power of two.
pub type WindowLog = Whole<WINDOW_LOG_MIN, { WINDOW_LOG_MAX as u64 }>;

/// How an episode is compressed. Whatever is set here, the episode stays the same content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CompressionSettings {
    /// The level of zstd: 3 is fast; 19 costs a hundred times the time for about a sixth less size, and some 100 MB of memory.
    pub level: Level,
    /// How many threads compress one episode; 0: none of their own. At level 3, eight of them keep to 64 MiB of memory.
    pub threads: Threads,
    /// Looks for repetitions this far back, as a power of two: 24 is 16 MiB. Absent: as far as the level says, at most 24.
    pub long: Option<WindowLog>,
}

impl Default for CompressionSettings {
    fn default() -> Self {
        let within = "invariant: a default is within its bounds";
        Self { level: Level::new(LEVEL_DEFAULT).expect(within), threads: Threads::new(0).expect(within), long: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let read = |text: &str| serde_json::from_str::<CompressionSettings>(text);
        assert_eq!(read("{}").unwrap(), CompressionSettings::default());
        let set = read(r#"{"level": 19, "threads": 4, "long": 24}"#).unwrap();
        assert_eq!((set.level.get(), set.threads.get(), set.long.map(WindowLog::get)), (19, 4, Some(24)));
        for bad in [r#"{"level": 0}"#, r#"{"level": 23}"#, r#"{"threads": 9}"#, r#"{"long": 25}"#, r#"{"lvl": 3}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
