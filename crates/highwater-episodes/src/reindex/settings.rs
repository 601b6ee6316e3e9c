//! The fields of jobs of the kind `reindex`.

use std::path::Path;

use highwater_engine::settings::{FilePath, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::HostId;

/// Which stored episodes get rows.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReindexSettings {
    /// The receiver's directory: it holds `episodes` and `index.jsonl`.
    pub root: FilePath,
    /// Only episodes of these hosts. Absent: of all.
    #[serde(default)]
    pub hosts: Option<Vec<HostId>>,
    /// Reads episodes that have a row, too, and compares them with it.
    #[serde(default)]
    pub verify: bool,
    /// Believes no seal of what `ship` packed, which is its host's word: unpacks each archive instead, and takes what is in it. That takes several
    /// times as long.
    #[serde(default)]
    pub unpack: bool,
}

impl ReindexSettings {
    /// Makes relative paths count from the directory of the configuration.
    pub fn resolve(&mut self, base: &Path) {
        self.root.resolve(base);
    }

    /// What no single field shows.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let empty = self.hosts.as_ref().is_some_and(Vec::is_empty);
        let problem = || {
            let message = "found an empty list, expected at least one host: nothing would be indexed";
            Problem::new("hosts", message, "name the hosts, or remove `hosts` for all")
        };
        empty.then(problem).into_iter().collect()
    }
}
