//! A knowledge base: documents, folded into an interlinked wiki of plain Markdown.
//!
//! Owns the base on the disk: its objects, its rows, its generations, and how a generation comes to stand in `wiki/` and
//! `raw/` without a person's edit being lost. There is one way to change a base, [`Base::commit`], and no undo journal: what
//! a crash left is finished, never taken back.

pub mod add;
pub mod adopt;
pub mod base;
pub mod chat;
pub mod compile;
mod conflict;
pub mod content;
pub mod convert;
pub mod document;
pub mod error;
pub mod fold;
pub mod graph;
pub mod lint;
pub mod llm;
pub mod origin;
pub mod page;
pub mod path;
pub mod prose;
pub mod query;
pub mod recompile;
pub mod remove;
pub mod resolve;
pub mod status;
pub mod tree;
pub mod watch;
pub mod web;
mod workshop;

pub use base::{
    Base, BaseLock, Committed, Counts, Directory, Draft, Fate, Generation, Hit, Home, Rehearsed, Snapshot, Stands,
};
pub use content::ContentId;
pub use document::{DocName, Document};
pub use error::KbError;
pub use origin::Origin;
pub use page::{PageKind, PageName};
pub use path::FilePath;
