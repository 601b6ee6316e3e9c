//! What cannot be shown, and why. Owns the words; codes and what to do next are the caller's.

use highwater_db::session::Fault;
use jiff::Timestamp;

use super::buckets::Step;
use crate::declare::Grain;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The rollup has no such key.
    #[error("found the key {found:?}, expected {}", either(known))]
    UnknownKey {
        /// What was asked for.
        found: String,
        /// The keys.
        known: Vec<String>,
    },
    /// The rollup has no such aggregate.
    #[error("found the aggregate {found:?}, expected {}", either(known))]
    UnknownValue {
        /// What was asked for.
        found: String,
        /// The aggregates.
        known: Vec<String>,
    },
    /// There is no such time zone.
    #[error("found the time zone {found:?}, expected a name of the IANA database such as `Europe/Berlin`")]
    UnknownZone {
        /// What was asked for.
        found: String,
    },
    /// A shown bucket would be shorter than the target's.
    #[error("found buckets of {}, and the rollup's grain is {}: expected buckets that are no shorter", each(*step), long(*grain))]
    Shorter {
        /// What was asked for.
        step: Step,
        /// The rollup's.
        grain: Grain,
    },
    /// A cell of the target would be in two shown buckets at once.
    #[error(
        "the rollup's grain is {}, in UTC, and a {step} of {zone} begins within such a bucket: nobody can tell how much of it is \
         before",
        long(*grain)
    )]
    Straddles {
        /// The zone.
        zone: String,
        /// The buckets that were asked for.
        step: Step,
        /// The rollup's.
        grain: Grain,
    },
    /// More buckets than are shown.
    #[error("found more than {max} buckets of {step}, expected at most {max}", step = each(*step))]
    TooMany {
        /// The buckets that were asked for.
        step: Step,
        /// Most.
        max: usize,
    },
    /// A span without time.
    #[error("the window from {since} ends at {until}, expected an end that is later")]
    NoTime {
        /// Its beginning.
        since: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// Different values that are counted in several cells may be the same ones.
    #[error(
        "`{value}` counts different values, which cannot be added up: {what}, and a value that is in two of them would be counted \
         twice"
    )]
    Distinct {
        /// The aggregate.
        value: String,
        /// What is shown, and how many cells of the rollup it is.
        what: String,
    },
    /// What is in the column is no number.
    #[error("`{value}` holds {found:?}, expected numbers: only they can be drawn")]
    NotANumber {
        /// The aggregate.
        value: String,
        /// What is there.
        found: String,
    },
    /// The database refused.
    #[error("the rollup cannot be read")]
    Fault(#[from] Fault),
}

fn either(known: &[String]) -> String {
    let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    match known.as_slice() {
        [] => "none: the rollup has none".to_owned(),
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

fn long(grain: Grain) -> String {
    match String::from(grain).as_str() {
        "hour" => "an hour".to_owned(),
        "day" => "a day".to_owned(),
        minutes => minutes.to_owned(),
    }
}

fn each(step: Step) -> String {
    match step {
        Step::Grain => "the rollup's grain".to_owned(),
        Step::Hour => "an hour".to_owned(),
        step => format!("a {step}"),
    }
}
