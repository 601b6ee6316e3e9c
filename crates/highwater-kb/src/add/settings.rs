//! The fields of jobs of the kind `kb-add`.

use std::path::Path;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::settings::{FilePath, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::llm::LlmSettings;
use crate::web::{Address, NoAddress};

/// What to do about an address that is none.
pub const NEXT: &str = "name it as a browser does: `https://HOST/PATH`";

/// Which documents come into which base.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KbAddSettings {
    /// The knowledge base: the directory in which `kb init` made it.
    pub base: FilePath,
    /// The documents: files, and directories with every document below them. A name that begins with a dot is passed over.
    #[serde(default)]
    pub paths: Vec<FilePath>,
    /// Documents of the web, by their addresses: `http://` or `https://`. They are fetched on the resource `web:HOST` where the job has
    /// one of that name, else on its first.
    #[serde(default)]
    pub urls: Vec<String>,
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
        let nothing = || {
            let message =
                "found an empty list, expected at least one file, directory or address: nothing would be added";
            Problem::new("paths", message, "name the documents, or the directories that hold them; or `urls`")
        };
        let mut problems = Vec::new();
        if self.paths.is_empty() && self.urls.is_empty() {
            problems.push(nothing());
        }
        problems.extend(self.urls.iter().filter_map(|url| {
            let error = Address::parse(url).err()?;
            Some(Problem::new("urls", with_causes(&error), NEXT))
        }));
        let of_llm = self.llm.iter().flat_map(LlmSettings::problems);
        problems.extend(of_llm.map(|problem| Problem { field: format!("llm.{}", problem.field).into(), ..problem }));
        problems
    }

    /// The addresses.
    ///
    /// # Errors
    /// The first that is none.
    pub fn addresses(&self) -> Result<Vec<Address>, NoAddress> {
        self.urls.iter().map(|url| Address::parse(url)).collect()
    }
}
