//! The sections of a document, as a tree. Owns its shape.

use serde::{Deserialize, Serialize};

/// A section of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its heading, or which pages it is where there are no headings.
    pub title: String,
    /// On which line of the text it begins, from 0.
    pub begin_line: u32,
    /// The line after its last, children included.
    pub end_line: u32,
    /// Its first and its last page, from 1, where the document has pages.
    pub pages: Option<(u32, u32)>,
    /// What it says, in a sentence or two.
    pub summary: String,
    /// What it consists of.
    pub children: Vec<Section>,
}
