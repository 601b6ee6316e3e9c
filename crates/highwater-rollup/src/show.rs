//! A rollup as people look at it: one aggregate by one key over time, in their own zone. Owns what may be asked and which cells
//! of the target may be added up for it; it reads the target and the state row, never a raw row, and writes nothing.
//!
//! [`Question`] is what is asked, checked. [`series()`] answers it for a table or a chart, with few keys and the rest summed; [`rows()`]
//! with every key, page by page; [`heat()`] by weekday and hour. [`svg`] draws. What is later than the watermark is known in part
//! at most, and each of them says which buckets that is.

pub mod buckets;
mod cells;
mod heat;
mod label;
mod number;
mod refused;
mod rows;
mod series;
mod standing;
pub mod svg;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use buckets::{Buckets, Span, Step, When};
pub use heat::{DAYS, HOURS, Heat, heat};
pub use label::plain;
pub use number::Number;
pub use refused::Refused;
pub use rows::{Row, rows};
pub use series::{Key, Point, Series, Shown, series};
pub use standing::{Standing, standing};

use crate::declare::{Aggregate, Declaration, Ident};

/// Most keys that are shown one by one.
pub const TOP_MAX: usize = 100;

/// How cells of an aggregate go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They add up: sums and counts.
    Adds,
    /// The smallest of them.
    Min,
    /// The largest of them.
    Max,
    /// Their sums over their counts.
    Mean,
    /// They do not go together.
    Distinct,
}

impl Kind {
    fn of(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::Count | Aggregate::Sum(_) => Self::Adds,
            Aggregate::Min(_) => Self::Min,
            Aggregate::Max(_) => Self::Max,
            Aggregate::Avg(_) => Self::Mean,
            Aggregate::CountDistinct(_) => Self::Distinct,
        }
    }

    /// Whether a bucket without cells is one of zero, rather than one of which nothing is known.
    #[must_use]
    pub fn is_zero_without_cells(self) -> bool {
        matches!(self, Self::Adds | Self::Distinct)
    }
}

/// What a person asks.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The key that tells rows apart; without one everything is one row.
    pub by: Option<String>,
    /// The aggregate; the first, where nobody says.
    pub value: Option<String>,
    /// The zone whose clock is on the wall.
    pub zone: TimeZone,
    /// How long a bucket is.
    pub step: Option<Step>,
    /// Which time.
    pub span: Span,
    /// How many keys are shown one by one.
    pub top: usize,
}

/// What a person asks, of one rollup, checked.
#[derive(Debug, Clone)]
pub struct Question<'d> {
    declaration: &'d Declaration,
    by: Option<&'d Ident>,
    value: &'d Ident,
    kind: Kind,
    span: Span,
    step: Option<Step>,
    zone: TimeZone,
    top: usize,
    now: Timestamp,
}

impl<'d> Question<'d> {
    /// Checks what is asked of a rollup. `now` is the database's clock.
    ///
    /// # Errors
    /// There is no such key or aggregate.
    pub fn of(declaration: &'d Declaration, ask: &Ask, now: Timestamp) -> Result<Self, Refused> {
        let by = match &ask.by {
            None => None,
            Some(found) => Some(
                named(declaration.keys.keys(), found)
                    .map_err(|known| Refused::UnknownKey { found: found.clone(), known })?,
            ),
        };
        let value = match &ask.value {
            None => declaration.aggregates.keys().next().expect("invariant: the declaration was checked"),
            Some(found) => named(declaration.aggregates.keys(), found)
                .map_err(|known| Refused::UnknownValue { found: found.clone(), known })?,
        };
        let kind = Kind::of(&declaration.aggregates[value]);
        let (span, zone) = (ask.span.clone(), ask.zone.clone());
        Ok(Self { declaration, by, value, kind, span, step: ask.step, zone, top: ask.top.clamp(1, TOP_MAX), now })
    }

    /// How cells of the aggregate go together.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The key that tells rows apart.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        self.by.map(Ident::as_str)
    }

    /// The aggregate.
    #[must_use]
    pub fn value(&self) -> &str {
        self.value.as_str()
    }

    /// The buckets, of which there may be `max`.
    fn buckets(&self, max: usize) -> Result<Buckets, Refused> {
        let buckets = Buckets::of(&self.span, self.step, &self.zone, self.declaration.grain, self.now, max)?;
        if self.kind == Kind::Distinct && !buckets.are_the_targets() {
            let cells = buckets.edges().windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs());
            let cells = cells.max().unwrap_or(0) / self.declaration.grain.secs();
            return Err(Refused::Distinct {
                value: self.value.to_string(),
                what: format!("a {} is {} cells of the rollup", buckets.each(), cells.max(2)),
            });
        }
        Ok(buckets)
    }
}

fn named<'d>(known: impl Iterator<Item = &'d Ident> + Clone, found: &str) -> Result<&'d Ident, Vec<String>> {
    let mut names = known.clone();
    names.find(|name| name.as_str() == found).ok_or_else(|| known.map(ToString::to_string).collect())
}

/// The zone of a name.
///
/// # Errors
/// There is none.
pub fn zone(name: &str) -> Result<TimeZone, Refused> {
    jiff::tz::TimeZone::get(name).map_err(|_| Refused::UnknownZone { found: name.to_owned() })
}

/// The names of all zones.
#[must_use]
pub fn zones() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.to_string()).collect()
}
