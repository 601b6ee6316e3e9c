//! The fields of a job of the kind `rollup`. Owns what they mean and which go together.

use std::path::Path;
use std::time::Duration;

use highwater_db::address::DatabaseAddress;
use highwater_engine::settings::{DatabaseUrl, DurationText, Problem};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::bound::LAG_SECS_MIN;
use crate::declare::{Aggregate, ColumnRef, Declaration, Grain, Ident, Join, TableName};
use crate::freeze::FREEZE_SECS_MIN;
use crate::window::{WatermarkAt, Window};

mod slice;

pub use slice::SliceLength;

/// What is rolled up, where, and in which steps. Either a declared rollup (`source`, `event-time`, `grain`, `target`,
/// `aggregates`) or a window of one's own (`window`, `bounds`, `watermark`).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RollupSettings {
    /// The database that holds the raw rows and the rollup: `sqlite:PATH`, or a `postgres://` URL, which honours `sslmode` up to
    /// `verify-full`, `sslrootcert`, `sslcert` and `sslkey`.
    pub database: DatabaseUrl,
    /// Declared: the table of raw rows.
    #[serde(default)]
    #[schemars(schema_with = "name")]
    pub source: Option<TableName>,
    /// Declared: the columns that make a row of the source itself. Absent: `id`.
    #[serde(default)]
    #[schemars(schema_with = "names")]
    pub source_key: Option<Vec<Ident>>,
    /// Declared: the column that says when what a row tells of happened.
    #[serde(default)]
    #[schemars(schema_with = "name")]
    pub event_time: Option<Ident>,
    /// How long a bucket is: `hour`, `day` or `N minutes` that divide a day. Of a window of one's own, in what its slices are
    /// counted; absent there: `hour`.
    #[serde(default)]
    #[schemars(schema_with = "grain")]
    pub grain: Option<Grain>,
    /// Declared: the table that highwater writes. Of a window of one's own: the table that it writes, which `verify` compares.
    #[serde(default)]
    #[schemars(schema_with = "name")]
    pub target: Option<TableName>,
    /// A window of one's own: columns of `target` that `verify` leaves out, such as when a row was written.
    #[serde(default)]
    #[schemars(schema_with = "names")]
    pub target_ignores: Vec<Ident>,
    /// Declared: the tables that the source joins to, by the name that columns call them: `{ table = "…", on = { COLUMN = "…" } }`,
    /// with `optional = true` where a row that finds none counts all the same.
    #[serde(default)]
    #[schemars(schema_with = "tables")]
    pub join: IndexMap<Ident, Join>,
    /// Declared: the columns of the target that tell cells of one bucket apart, each with the column that it comes from: of the
    /// source, or `JOIN.COLUMN`.
    #[serde(default)]
    #[schemars(schema_with = "columns")]
    pub keys: IndexMap<Ident, ColumnRef>,
    /// Declared: the other columns of the target: `"count"`, or `{ sum = "…" }`, `count-distinct`, `min`, `max`, `avg` (kept as sum
    /// and count).
    #[serde(default)]
    #[schemars(schema_with = "values")]
    pub aggregates: IndexMap<Ident, Aggregate>,
    /// A window of one's own: one statement that recomputes everything between two times, `$1` and `$2` (in SQLite `?1` and
    /// `?2`), yields how many rows it touched, and may be run again for any two times.
    #[serde(default)]
    pub window: Option<String>,
    /// A window of one's own: one query that yields the time of the earliest event and of the latest.
    #[serde(default)]
    pub bounds: Option<String>,
    /// A window of one's own: where its watermark is kept: `{ table = "…", column = "…", key = { COLUMN = … } }`.
    #[serde(default)]
    #[schemars(schema_with = "watermark")]
    pub watermark: Option<WatermarkAt>,
    /// Declared: buckets that ended longer ago than this, by the database's clock, are frozen, such as `90 days`: they are never
    /// computed again, whatever happens to their raw rows, so that retention may delete these. At least a day, and not longer than
    /// retention keeps raw rows. Freezing begins when the rollup is seeded, and a bucket is frozen for good: where this is raised or
    /// removed, what is frozen stays frozen and less or nothing is added; where it is lowered or added, the next pass freezes what is
    /// that old by then. What came late and waits in a queue for a bucket that freezes is not counted: a pass says how many rows.
    #[serde(default)]
    pub freeze_before: Option<DurationText>,
    /// The slices of a seed: `month`, or a duration such as `7 days`.
    #[serde(default)]
    #[schemars(schema_with = "slice")]
    pub slice: SliceLength,
    /// How long one transaction of a slice should take; slices are cut to that, and grow by at most a fifth. Absent: 2 s, and
    /// 200 ms on SQLite, where it keeps the application from writing.
    #[serde(default)]
    pub slice_target: Option<DurationText>,
    /// The rest between two transactions of a seed.
    #[serde(default)]
    pub sleep: DurationText,
    /// How far a watermark stays behind the database's clock: at least 1 s; on SQLite longer than `busy-timeout`.
    #[serde(default = "lag")]
    pub lag: DurationText,
    /// By how much one tick moves the watermark at most.
    #[serde(default = "tick_max")]
    pub tick_max: DurationText,
    /// How far the watermark may trail the newest event for the rollup to count as complete.
    #[serde(default = "threshold")]
    pub threshold: DurationText,
    /// Roles and application names that only read, such as a nightly dump: their open transactions do not hold the watermark.
    #[serde(default)]
    pub bound_ignores: Vec<String>,
    /// SQLite: how long a statement waits for another writer.
    #[serde(default = "busy_timeout")]
    pub busy_timeout: DurationText,
}

fn lag() -> DurationText {
    DurationText::secs(5 * 60)
}

fn tick_max() -> DurationText {
    DurationText::days(1)
}

fn threshold() -> DurationText {
    DurationText::secs(60 * 60)
}

fn busy_timeout() -> DurationText {
    DurationText::secs(5)
}

/// What a transaction of a slice should take: in milliseconds.
const SLICE_TARGET_MILLIS: u64 = 2_000;
/// The same on SQLite.
const SLICE_TARGET_SQLITE_MILLIS: u64 = 200;

/// What is rolled up.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// What highwater writes by itself.
    Declared(Declaration),
    /// What somebody's own SQL writes, and in what its slices are counted.
    Window(Window, Grain),
}

impl Subject {
    /// How long its buckets are.
    #[must_use]
    pub fn grain(&self) -> Grain {
        match self {
            Self::Declared(declaration) => declaration.grain,
            Self::Window(_, grain) => *grain,
        }
    }
}

impl RollupSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        self.database.resolve(base);
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.address().err().or_else(|| self.subject().err()));
        let at_least = Duration::from_secs(LAG_SECS_MIN);
        if self.lag.get() < at_least {
            let found =
                format!("found {}, expected at least 1s: the watermark would pass events on their way", self.lag);
            problems.push(Problem::new("lag", found, "correct it, or remove `lag` for the default, 5m"));
        }
        if self.is_sqlite() && self.lag.get() <= self.busy_timeout.get() {
            let found = format!("found {}, expected more than `busy-timeout`, {}", self.lag, self.busy_timeout);
            problems.push(Problem::new("lag", found, "raise `lag`, or lower `busy-timeout`"));
        }
        if let Some(age) = self.freeze_before.filter(|age| age.get() < Duration::from_secs(FREEZE_SECS_MIN)) {
            let found = format!("found {age}, expected at least 1 day: what comes late would not be counted");
            problems.push(Problem::new("freeze-before", found, "raise it, or remove it to freeze nothing"));
        }
        for (field, value) in [("tick-max", self.tick_max), ("slice-target", self.slice_target())] {
            if value.get().is_zero() {
                problems.push(Problem::new(field, "found 0s, expected some time: nothing would move", "correct it"));
            }
        }
        problems
    }

    /// Where the database is.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn address(&self) -> Result<DatabaseAddress, Problem> {
        self.database.expose().parse().map_err(|error: highwater_db::address::DatabaseAddressError| {
            Problem::new("database", error.to_string(), "correct the address")
        })
    }

    fn is_sqlite(&self) -> bool {
        self.database.expose().starts_with("sqlite:")
    }

    /// How long one transaction of a slice should take.
    #[must_use]
    pub fn slice_target(&self) -> DurationText {
        let millis = if self.is_sqlite() { SLICE_TARGET_SQLITE_MILLIS } else { SLICE_TARGET_MILLIS };
        self.slice_target.unwrap_or(DurationText::millis(millis))
    }

    /// What is rolled up.
    ///
    /// # Errors
    /// What is missing, or goes with the other way alone.
    pub fn subject(&self) -> Result<Subject, Problem> {
        let declared = [
            ("source", self.source.is_some()),
            ("source-key", self.source_key.is_some()),
            ("event-time", self.event_time.is_some()),
            // Both have a target.
            ("target", self.target.is_some() && self.window.is_none()),
            ("join", !self.join.is_empty()),
            ("keys", !self.keys.is_empty()),
            ("aggregates", !self.aggregates.is_empty()),
            ("freeze-before", self.freeze_before.is_some()),
        ];
        let own = [
            ("window", self.window.is_some()),
            ("bounds", self.bounds.is_some()),
            ("watermark", self.watermark.is_some()),
            ("target-ignores", !self.target_ignores.is_empty()),
        ];
        let first = |fields: &[(&'static str, bool)]| fields.iter().find(|(_, is_set)| *is_set).map(|(name, _)| *name);
        match (first(&declared), first(&own)) {
            (Some(_), None) => self.declaration().map(Subject::Declared),
            (None, Some(_)) => {
                self.own_window().map(|window| Subject::Window(window, self.grain.unwrap_or(Grain::HOUR)))
            }
            (None, None) => Err(Problem::new(
                "source",
                "found nothing to roll up, expected a declared rollup (`source`, `event-time`, `grain`, `target`, `aggregates`) \
                 or a window of your own (`window`, `bounds`, `watermark`)",
                "add one of the two; docs/rollup.md shows both",
            )),
            (Some(declared), Some(own)) => Err(Problem::new(
                own,
                format!("found both `{declared}` and `{own}`, expected a declared rollup or a window of your own"),
                "keep one of the two here, and move the other to a job of its own",
            )),
        }
    }

    fn declaration(&self) -> Result<Declaration, Problem> {
        let missing = |field: &'static str, such_as: &str| {
            Problem::new(
                field,
                format!("found no `{field}`, which a declared rollup needs"),
                format!("add `{field} = {such_as}`"),
            )
        };
        let declaration = Declaration {
            source: self.source.clone().ok_or_else(|| missing("source", "\"task_usage\""))?,
            source_key: self.source_key.clone().unwrap_or_else(|| vec![Ident::new("id").expect("invariant: a name")]),
            event_time: self.event_time.clone().ok_or_else(|| missing("event-time", "\"created_at\""))?,
            grain: self.grain.ok_or_else(|| missing("grain", "\"hour\""))?,
            freeze_before: self.freeze_before,
            target: self.target.clone().ok_or_else(|| missing("target", "\"task_usage_hourly\""))?,
            join: self.join.clone(),
            keys: self.keys.clone(),
            aggregates: self.aggregates.clone(),
        };
        match declaration.check() {
            Ok(()) => Ok(declaration),
            Err(refused) => {
                let message = refused.to_string();
                let field = ["join", "keys", "aggregates", "source-key", "target"].into_iter();
                let field = field.into_iter().find(|field| message.starts_with(field)).unwrap_or("source");
                let told = message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&message);
                Err(Problem::new(field, told.to_owned(), "correct the declaration"))
            }
        }
    }

    fn own_window(&self) -> Result<Window, Problem> {
        let missing = |field: &'static str, such_as: &str| {
            Problem::new(
                field,
                format!("found no `{field}`, which a window of your own needs"),
                format!("add `{field} = {such_as}`"),
            )
        };
        let window = Window {
            window_sql: self.window.clone().ok_or_else(|| missing("window", "\"SELECT rollup_window($1, $2)\""))?,
            bounds_sql: self
                .bounds
                .clone()
                .ok_or_else(|| missing("bounds", "\"SELECT min(created_at), max(created_at) FROM task_usage\""))?,
            watermark: self
                .watermark
                .clone()
                .ok_or_else(|| missing("watermark", "{ table = \"rollup_state\", column = \"watermark\" }"))?,
            target: self.target.clone(),
            target_ignores: self.target_ignores.clone(),
        };
        if window.target.is_none() && !window.target_ignores.is_empty() {
            let found = "found columns to be left out, and no `target` that they are of";
            return Err(Problem::new(
                "target-ignores",
                found,
                "add `target = \"…\"`, the table that the window writes",
            ));
        }
        let dialect = self.address()?.dialect();
        match window.check(dialect) {
            Ok(()) => Ok(window),
            Err(refused) => {
                let message = refused.to_string();
                let fields = ["window", "bounds", "watermark"].into_iter();
                let field = fields.into_iter().find(|field| message.starts_with(field)).unwrap_or("window");
                let told = message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&message);
                Err(Problem::new(field, told.to_owned(), "correct it"))
            }
        }
    }
}

fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "title": "name", "minLength": 1})
}

fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "title": "list of names", "items": {"type": "string"}, "minItems": 1})
}

fn grain(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "title": "grain", "examples": ["hour", "day", "15 minutes"]})
}

fn slice(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "title": "`month` or a duration", "default": "month", "examples": ["month", "7 days"]})
}

fn tables(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "title": "table of joins", "additionalProperties": {
        "type": "object",
        "properties": {
            "table": {"type": "string"},
            "on": {"type": "object", "additionalProperties": {"type": "string"}},
            "optional": {"type": "boolean", "default": false},
        },
        "required": ["table", "on"],
        "additionalProperties": false,
    }})
}

fn columns(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "title": "table of columns", "additionalProperties": {"type": "string"}})
}

fn values(_: &mut SchemaGenerator) -> Schema {
    let of_column = |word: &str| {
        let mut properties = serde_json::Map::new();
        properties.insert(word.to_owned(), serde_json::json!({"type": "string"}));
        serde_json::json!({
            "type": "object", "properties": properties, "required": [word], "additionalProperties": false,
        })
    };
    let mut ways = vec![serde_json::json!({"const": "count"})];
    ways.extend(["sum", "count-distinct", "min", "max", "avg"].map(of_column));
    json_schema!({"type": "object", "title": "table of aggregates", "additionalProperties": {"oneOf": ways}})
}

fn watermark(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "title": "table of the watermark's table, column and key"})
}

#[cfg(test)]
mod tests;
