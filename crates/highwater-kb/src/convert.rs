//! From a document to Markdown. Owns what a conversion gives, whatever the document was.

/// A document as Markdown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Converted {
    /// What the document calls itself.
    pub title: Option<String>,
    /// Its text. An image of [`Converted::images`] is shown by `images/NAME`.
    pub markdown: String,
    /// What it shows.
    pub images: Vec<Image>,
    /// On which line of the text each page begins, from 0, for what has pages; empty for what has none.
    pub page_lines: Vec<u32>,
    /// Which converter made it, with its version.
    pub converter: String,
}

/// An image of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// One name, with the suffix of what it is: `image-3.png`.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
