//! From a document's text to what it contributes to the wiki. Owns that seam: what a compiler is given, and what it answers. It
//! never writes a page: a page is rendered at the commit, from what every document contributes to it.

pub mod builtin;
pub mod llm;

use std::future::Future;

use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::outcome::Outcome;
use serde::{Deserialize, Serialize};

use crate::convert::Converted;
use crate::document::DocName;
use crate::page::PageName;
use crate::tree::Section;

pub use self::llm::Llm;
pub use builtin::{Builtin, CONCEPTS_ALONE_MAX, CONCEPTS_MAX, DESCRIPTION_CHARS_MAX, ENTITIES_ALONE_MAX, ENTITIES_MAX};

/// What a compiler is given.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What the document is called.
    pub name: &'a DocName,
    /// Its text.
    pub converted: &'a Converted,
    /// Its sections; empty for a document that is short.
    pub tree: &'a [Section],
}

/// What was compiled from a document, alone: nothing of it depends on another document, so that the order in which documents are
/// prepared does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compiled {
    /// What people call the document.
    pub title: String,
    /// What kind of document it is, in one word: `article`, `report`, `table`, `slides`, `book`, `notes`.
    pub doc_type: String,
    /// What it is about, in one line.
    pub description: String,
    /// The body of its summary page, in Markdown, without front matter and without its heading.
    pub summary: String,
    /// Its sections; empty for a document that is short.
    pub tree: Vec<Section>,
    /// What it says on pages that it shares with other documents, the most important first.
    pub contributions: Vec<Contribution>,
}

impl Compiled {
    /// What stands in for what was lost: the document says nothing.
    pub(crate) fn nothing(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            doc_type: String::new(),
            description: String::new(),
            summary: String::new(),
            tree: Vec::new(),
            contributions: Vec::new(),
        }
    }
}

/// What one document says on a page that documents share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Contribution {
    /// Which page.
    pub page: PageName,
    /// How the document calls what the page is about.
    pub title: String,
    /// What that is, in one line, as far as this document says it.
    pub description: String,
    /// What the document says of it, in Markdown, without a heading.
    pub body: String,
    /// Whether the page is worth having for this document alone. Else it appears once a second document contributes to it.
    pub alone: bool,
}

/// Why a document was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A person must look at the document.
    #[error("{0}")]
    Review(String),
    /// It is to be compiled again, by another pass.
    #[error("{}", .0.detail.as_deref().unwrap_or("to be tried again"))]
    Later(Outcome),
    /// Something ends the pass; the document stays untried.
    #[error("the pass stops")]
    Stop(Stop),
}

/// What makes contributions of a document.
pub trait Compiler: Send + Sync {
    /// What the registry calls it, with what decides its answers: `builtin/1`.
    fn name(&self) -> String;

    /// Compiles one document. Who computes for long does it elsewhere: many of these are awaited on one thread.
    ///
    /// # Errors
    /// [`CompileError`].
    fn compile(&self, cx: &ReadCx, source: Source<'_>) -> impl Future<Output = Result<Compiled, CompileError>> + Send;

    /// What a person should know at the end of a pass, a sentence each.
    fn told(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The compilers that there are.
#[derive(Debug, Clone)]
pub enum Compilers {
    /// Asks nobody.
    Builtin(Builtin),
    /// Asks a language model.
    Llm(Llm),
}

impl Compiler for Compilers {
    fn name(&self) -> String {
        match self {
            Self::Builtin(builtin) => builtin.name(),
            Self::Llm(llm) => llm.name(),
        }
    }

    async fn compile(&self, cx: &ReadCx, source: Source<'_>) -> Result<Compiled, CompileError> {
        match self {
            Self::Builtin(builtin) => builtin.compile(cx, source).await,
            Self::Llm(llm) => llm.compile(cx, source).await,
        }
    }

    fn told(&self) -> Vec<String> {
        match self {
            Self::Builtin(builtin) => builtin.told(),
            Self::Llm(llm) => llm.told(),
        }
    }
}
