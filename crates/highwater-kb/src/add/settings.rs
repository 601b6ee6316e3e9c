//! The fields of jobs of the kind `kb-add`.

use std::path::Path;

use highwater_engine::settings::{FilePath, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::llm::LlmSettings;

/// Which documents come into which base.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KbAddSettings {
    /// The knowledge base: the directory in which `kb init` made it.
    pub base: FilePath,
    /// The documents: files, and directories with every document below them. A name that begins with a dot is passed over.
    pub paths: Vec<FilePath>,
    /// The language model that compiles documents. Absent: the compiler that is built in, which asks nobody.
    #[serde(default)]
    pub llm: Option<LlmSettings>,
}

impl KbAddSettings {
    /// Makes relative paths count from the directory of the configuration.
    pub fn resolve(&mut self, base: &Path) {
        self.base.resolve(base);
        self.paths.iter_mut().for_each(|path| path.resolve(base));
    }

    /// What no single field shows.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let problem = || {
            let message = "found an empty list, expected at least one file or directory: nothing would be added";
            Problem::new("paths", message, "name the documents, or the directories that hold them")
        };
        let of_llm = self.llm.iter().flat_map(LlmSettings::problems);
        let of_llm = of_llm.map(|problem| Problem { field: format!("llm.{}", problem.field).into(), ..problem });
        self.paths.is_empty().then(problem).into_iter().chain(of_llm).collect()
    }
}
