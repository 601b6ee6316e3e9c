//! The fields of `[receiver.gate]`.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::path::Path;

use highwater_engine::settings::{FilePath, Problem};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Judge;

/// How many commits are accepted, where it is not said.
pub const WINDOW_COMMITS: u32 = 100;
/// Most commits that may be accepted.
pub const WINDOW_COMMITS_MAX: u32 = 100_000;

/// Which code's episodes are let in.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GateSettings {
    /// Whether episodes are judged at all. Without it all are let in, and their rows say so.
    pub enabled: bool,
    /// The git repository on this machine whose newest commits are accepted: its directory, with or without `.git`.
    pub repository: Option<FilePath>,
    /// The branch, tag or reference from which they are counted.
    #[serde(rename = "ref")]
    pub reference: String,
    /// How many of the newest commits are accepted, as `git log` lists them.
    pub window: WindowCommits,
    /// The commands that bring a host's code up to date, handed out with each refusal.
    pub remediation: Vec<String>,
    /// Accept an episode by the commit that recorded it (`recorded`), by the commit of the code that sends it (`ships`), or by
    /// whichever its sender names.
    pub judges: Vec<Judge>,
}

impl GateSettings {
    /// Makes relative paths count from the directory of the configuration.
    pub fn resolve(&mut self, base: &Path) {
        self.repository.iter_mut().for_each(|repository| repository.resolve(base));
    }

    /// What no single field shows; fields are named from the receiver's.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.enabled && self.repository.is_none() {
            problems.push(Problem::new(
                "gate.repository",
                "found no repository, expected the git repository whose newest commits are accepted",
                "name it, or set `enabled = false` to collect without judging",
            ));
        }
        if self.reference.trim().is_empty() || self.reference.chars().any(char::is_control) {
            problems.push(Problem::new(
                "gate.ref",
                format!("found {:?}, expected the name of a branch, a tag or a reference", self.reference),
                "write one such as \"main\", or remove it for \"HEAD\"",
            ));
        }
        if self.judges.is_empty() {
            problems.push(Problem::new(
                "gate.judges",
                "found an empty list, expected \"recorded\", \"ships\" or both: nothing would be let in",
                "name one, or remove `judges` for both",
            ));
        }
        problems
    }
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            repository: None,
            reference: "HEAD".to_owned(),
            window: WindowCommits::default(),
            remediation: Vec::new(),
            judges: Judge::ALL.to_vec(),
        }
    }
}

/// How many commits: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct WindowCommits(NonZeroU32);

impl WindowCommits {
    /// As a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl Default for WindowCommits {
    fn default() -> Self {
        Self(NonZeroU32::new(WINDOW_COMMITS).expect("invariant: it is more than 0"))
    }
}

impl TryFrom<u32> for WindowCommits {
    type Error = String;
    fn try_from(commits: u32) -> Result<Self, String> {
        NonZeroU32::new(commits)
            .filter(|commits| commits.get() <= WINDOW_COMMITS_MAX)
            .map(Self)
            .ok_or_else(|| format!("found {commits}, expected 1 to {WINDOW_COMMITS_MAX} commits"))
    }
}

impl From<WindowCommits> for u32 {
    fn from(commits: WindowCommits) -> Self {
        commits.get()
    }
}

impl JsonSchema for WindowCommits {
    fn schema_name() -> Cow<'static, str> {
        "WindowCommits".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": WINDOW_COMMITS_MAX })
    }
}
