//! The kinds of job this binary has. Owns the list: a kind is one variant of [`KindSettings`], one line in [`KINDS`]
//! and one arm in each method below; its fields belong to the crate that runs it.

use std::path::Path;

use highwater_engine::exec::settings::ExecSettings;
use highwater_engine::settings::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::de::DeTable;

use super::fields::{Field, fields_of, schema_of};
use super::read::Reader;
use super::source::FieldPath;

/// The fields of a job that belong to its kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum KindSettings {
    /// Any command.
    Exec(ExecSettings),
}

/// Every kind, in the order of the reference.
pub(super) const KINDS: &[Kind] = &[Kind::of::<ExecSettings>("exec")];

impl KindSettings {
    /// The name in `kind = "…"`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
        }
    }

    pub(super) fn resolve(&mut self, base: &Path) {
        match self {
            Self::Exec(settings) => settings.resolve(base),
        }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Exec(settings) => settings.problems(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Json> {
        match self {
            Self::Exec(settings) => serde_json::to_value(settings),
        }
    }
}

impl From<ExecSettings> for KindSettings {
    fn from(settings: ExecSettings) -> Self {
        Self::Exec(settings)
    }
}

/// What the configuration knows of a kind without having a job of it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) fields: fn() -> Vec<Field>,
    pub(super) schema: fn() -> Json,
    pub(super) read: Read,
}

type Read = for<'i> fn(&mut Reader<'_>, &[Field], DeTable<'i>, &FieldPath, u64) -> Option<KindSettings>;

impl Kind {
    const fn of<T: DeserializeOwned + JsonSchema + Into<KindSettings>>(name: &'static str) -> Self {
        Self {
            name,
            fields: fields_of::<T>,
            schema: schema_of::<T>,
            read: |reader, fields, table, at, line| reader.read::<T>(fields, table, at, line).map(Into::into),
        }
    }

    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}
