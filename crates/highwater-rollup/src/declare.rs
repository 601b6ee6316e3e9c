//! What a rollup is made of: its source, what the source joins to, the grain, the keys, the aggregates. Owns what a declaration
//! may say; the SQL is written elsewhere.

mod column;
mod refused;

use highwater_engine::settings::DurationText;
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use column::IDENT_BYTES_MAX;
pub use column::{ColumnRef, Ident, TableName};
pub use refused::Refused;

/// What the source is called in columns.
pub const SOURCE: &str = "source";
/// The column of the target that holds a bucket's beginning.
pub const BUCKET: &str = "bucket";
/// Longest names of a target and of an alias together, in bytes: names of triggers and queues are made of both, and of words.
pub const NAMES_BYTES_MAX: usize = 48;
/// Most tables that a source joins to.
pub const JOINS_MAX: usize = 8;
/// Most keys.
pub const KEYS_MAX: usize = 16;
/// Most aggregates.
pub const AGGREGATES_MAX: usize = 64;

/// A declared rollup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Declaration {
    /// The table of raw rows.
    pub source: TableName,
    /// The columns that make a row of the source itself.
    #[serde(default = "id")]
    pub source_key: Vec<Ident>,
    /// When what a row tells of happened; a row without it is in no bucket.
    pub event_time: Ident,
    /// How long a bucket is.
    pub grain: Grain,
    /// How long ago a bucket ended that is computed no more; absent: none is that old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze_before: Option<DurationText>,
    /// The table that highwater writes.
    pub target: TableName,
    /// What the source joins to, by the name that columns call it; each may refer to the source and to those before it.
    #[serde(default)]
    pub join: IndexMap<Ident, Join>,
    /// The columns of the target that tell cells of one bucket apart.
    #[serde(default)]
    pub keys: IndexMap<Ident, ColumnRef>,
    /// The other columns of the target.
    pub aggregates: IndexMap<Ident, Aggregate>,
}

fn id() -> Vec<Ident> {
    vec![Ident::new("id").expect("invariant: a name")]
}

/// A table that the source joins to, row by row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Join {
    /// The table.
    pub table: TableName,
    /// Its columns, each with the column it equals. They find at most one row.
    pub on: IndexMap<Ident, ColumnRef>,
    /// Whether a row that finds none is counted all the same, with NULL for its columns.
    #[serde(default)]
    pub optional: bool,
}

/// What is made of the rows of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// How many rows.
    Count,
    /// How many different values.
    CountDistinct(ColumnRef),
    /// The sum.
    Sum(ColumnRef),
    /// The smallest.
    Min(ColumnRef),
    /// The largest.
    Max(ColumnRef),
    /// The mean, kept as `NAME_sum` and `NAME_count`, so that cells can be added up.
    Avg(ColumnRef),
}

impl Aggregate {
    /// The column it is made of.
    #[must_use]
    pub fn column(&self) -> Option<&ColumnRef> {
        match self {
            Self::Count => None,
            Self::CountDistinct(column)
            | Self::Sum(column)
            | Self::Min(column)
            | Self::Max(column)
            | Self::Avg(column) => Some(column),
        }
    }
}

/// How long a bucket is. Buckets meet, and begin at the epoch, so that those of hours and days are UTC's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grain {
    secs: i64,
}

/// Shortest grain, in seconds.
const GRAIN_SECS_MIN: i64 = 60;
/// Longest grain, in seconds.
const GRAIN_SECS_MAX: i64 = 7 * 86_400;

impl Grain {
    /// An hour.
    pub const HOUR: Self = Self { secs: 3600 };
    /// A day.
    pub const DAY: Self = Self { secs: 86_400 };

    /// Its length in seconds.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.secs
    }

    /// The beginning of the bucket that a time is in.
    #[must_use]
    pub fn begin(self, at: Timestamp) -> Timestamp {
        Timestamp::from_second(at.as_second().div_euclid(self.secs) * self.secs).unwrap_or(at)
    }
}

impl TryFrom<String> for Grain {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let secs = match text.as_str() {
            "hour" => 3600,
            "day" => 86_400,
            other => {
                let number = other.split_whitespace().collect::<Vec<_>>();
                let minutes = match number.as_slice() {
                    [number, "minute" | "minutes"] => number.parse::<i64>().ok(),
                    _ => None,
                };
                minutes.and_then(|minutes| minutes.checked_mul(60)).unwrap_or(0)
            }
        };
        // A grain that does not divide a day would make buckets that no clock shows.
        if (GRAIN_SECS_MIN..=GRAIN_SECS_MAX).contains(&secs) && 86_400 % secs == 0 {
            Ok(Self { secs })
        } else {
            Err(format!("`{text}` is no grain: expected `hour`, `day` or `N minutes` that divide a day"))
        }
    }
}

impl From<Grain> for String {
    fn from(grain: Grain) -> Self {
        match grain.secs {
            3600 => "hour".to_owned(),
            86_400 => "day".to_owned(),
            secs => format!("{} minutes", secs / 60),
        }
    }
}

impl Declaration {
    /// Refuses what no SQL can be written for.
    ///
    /// # Errors
    /// The first mistake, with the field it is in.
    pub fn check(&self) -> Result<(), Refused> {
        let at_most = |field: &'static str, found: usize, max: usize| {
            if found > max { Err(Refused::TooMany { field, found, max }) } else { Ok(()) }
        };
        at_most("join", self.join.len(), JOINS_MAX)?;
        at_most("keys", self.keys.len(), KEYS_MAX)?;
        at_most("aggregates", self.aggregates.len(), AGGREGATES_MAX)?;
        if self.aggregates.is_empty() {
            return Err(Refused::NoAggregate);
        }
        if self.source_key.is_empty() {
            return Err(Refused::NoKey { field: "source-key".to_owned() });
        }
        if self.target == self.source || self.join.values().any(|join| join.table == self.target) {
            return Err(Refused::TargetIsRead { table: self.target.to_string() });
        }
        self.check_joins()?;
        for (name, column) in &self.keys {
            self.check_column(&format!("keys.{name}"), column)?;
        }
        for (name, aggregate) in &self.aggregates {
            if let Some(column) = aggregate.column() {
                self.check_column(&format!("aggregates.{name}"), column)?;
            }
        }
        self.check_names()
    }

    fn check_joins(&self) -> Result<(), Refused> {
        for (at, (alias, join)) in self.join.iter().enumerate() {
            let field = format!("join.{alias}");
            if alias.as_str() == SOURCE {
                return Err(Refused::Reserved { field, name: SOURCE });
            }
            if join.on.is_empty() {
                return Err(Refused::NoKey { field: format!("{field}.on") });
            }
            let mut parents = join.on.values().map(|column| &column.table);
            let parent = parents.next().expect("invariant: it is not empty");
            if parents.any(|other| other != parent) {
                return Err(Refused::TwoParents { field });
            }
            let known = parent.as_str() == SOURCE || self.join.keys().take(at).any(|earlier| earlier == parent);
            if !known {
                return Err(Refused::UnknownTable { field: format!("{field}.on"), found: parent.to_string() });
            }
        }
        Ok(())
    }

    fn check_column(&self, field: &str, column: &ColumnRef) -> Result<(), Refused> {
        if column.table.as_str() == SOURCE || self.join.contains_key(&column.table) {
            return Ok(());
        }
        Err(Refused::UnknownTable { field: field.to_owned(), found: column.table.to_string() })
    }

    fn check_names(&self) -> Result<(), Refused> {
        let target = self.target.table().as_str();
        for alias in self.join.keys().map(Ident::as_str).chain([SOURCE]) {
            if target.len() + alias.len() > NAMES_BYTES_MAX {
                let (field, name, other) =
                    if alias.len() > target.len() { ("join", alias, target) } else { ("target", target, alias) };
                let max = NAMES_BYTES_MAX.saturating_sub(other.len());
                return Err(Refused::TooLong { field, name: name.to_owned(), other: other.to_owned(), max });
            }
        }
        // SQLite tells no names apart that differ in case alone.
        let mut aliases = std::collections::HashSet::from([SOURCE.to_owned()]);
        if let Some(name) = self.join.keys().find(|name| !aliases.insert(name.as_str().to_ascii_lowercase())) {
            return Err(Refused::JoinedTwice { name: name.to_string() });
        }
        let mut seen = std::collections::HashSet::from([BUCKET.to_owned()]);
        for name in self.keys.keys().map(ToString::to_string).chain(self.value_columns()) {
            if name.len() > IDENT_BYTES_MAX {
                return Err(Refused::ColumnTooLong { name, max: IDENT_BYTES_MAX });
            }
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(Refused::Twice { name });
            }
        }
        Ok(())
    }

    /// Whether both install the same: how old a bucket is that freezes is nothing that is installed.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Self { freeze_before: None, ..self.clone() } == Self { freeze_before: None, ..other.clone() }
    }

    /// The fields in which they differ, as a configuration calls them.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("source", self.source == other.source),
            ("source-key", self.source_key == other.source_key),
            ("event-time", self.event_time == other.event_time),
            ("grain", self.grain == other.grain),
            ("target", self.target == other.target),
            ("join", self.join == other.join),
            ("keys", self.keys == other.keys),
            ("aggregates", self.aggregates == other.aggregates),
        ];
        fields.into_iter().filter(|(_, is_same)| !is_same).map(|(field, _)| field).collect()
    }

    /// The columns of the target that hold values, in order; an average has two.
    #[must_use]
    pub fn value_columns(&self) -> Vec<String> {
        let columns = self.aggregates.iter().flat_map(|(name, aggregate)| match aggregate {
            Aggregate::Avg(_) => vec![format!("{name}_sum"), format!("{name}_count")],
            _ => vec![name.to_string()],
        });
        columns.collect()
    }
}

#[cfg(test)]
mod tests;
