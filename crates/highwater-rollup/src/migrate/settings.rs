//! The fields of `[migrate]`. Owns what they mean.

use std::path::Path;

use highwater_db::address::{DatabaseAddress, DatabaseAddressError};
use highwater_engine::settings::{DatabaseUrl, DurationText, FilePath, Problem};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{LOCK_WAIT_SECS, Options};
use crate::declare::TableName;

/// Numbered SQL migrations of one database, which `highwater migrate up` applies.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MigrateSettings {
    /// The directory of the migrations, `NUMBER_NAME.up.sql` or `NUMBER_NAME.sql`.
    pub directory: FilePath,
    /// The database: `sqlite:PATH`, of a file that is there, or a `postgres://` URL.
    pub database: DatabaseUrl,
    /// The table of what was applied; made where it is not there. Another tool's is taken over by `highwater migrate baseline`, and
    /// left as it is.
    #[serde(default = "table")]
    #[schemars(schema_with = "name")]
    pub table: TableName,
    /// How long a run waits for another, and for the lock of each rollup that a step requires.
    #[serde(default = "lock_wait")]
    pub lock_wait: DurationText,
    /// SQLite: how long a statement waits for another writer.
    #[serde(default = "busy_timeout")]
    pub busy_timeout: DurationText,
}

fn table() -> TableName {
    Options::default().table
}

fn lock_wait() -> DurationText {
    DurationText::secs(LOCK_WAIT_SECS)
}

fn busy_timeout() -> DurationText {
    DurationText::secs(5)
}

fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "title": "name", "minLength": 1})
}

impl MigrateSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        self.directory.resolve(base);
        self.database.resolve(base);
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.address().err().into_iter().collect()
    }

    /// Where the database is.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn address(&self) -> Result<DatabaseAddress, Problem> {
        self.database
            .expose()
            .parse()
            .map_err(|error: DatabaseAddressError| Problem::new("database", error.to_string(), "correct the address"))
    }
}
