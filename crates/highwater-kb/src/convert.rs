//! From a document to Markdown. Owns what a conversion gives, whatever the document was, and what is refused and why.
//!
//! Who has a document calls [`Subprocess::convert`] with a [`Staged`] copy of it; the conversion itself runs in a process of its
//! own ([`inside`]), so that a hostile document costs one `review` and not the pass.

mod answer;
mod decode;
mod epub;
mod error;
mod footnotes;
mod format;
mod gallery;
mod html;
pub mod inside;
pub mod limits;
mod office;
mod pdf;
mod settle;
mod sheet;
mod stage;
mod subprocess;
mod text;

use std::path::Path;

pub use answer::write;
pub use error::{ConvertError, Refusal, Verdict};
pub use format::Format;
use gallery::Gallery;
use highwater_fs::RealFs;
pub use limits::Limits;
pub use stage::{Staged, content_of, suffix_of};
pub use subprocess::Subprocess;

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

/// Which edition of what this room adds to each converter; it goes up when the same document would give another text.
const EDITION: u32 = 1;
/// What is left out of a title beyond this many characters.
const TITLE_CHARS_MAX: usize = 300;

/// Converts a document in this process, without any limit on time and memory: [`Subprocess`] is for what others wrote. `suffix`
/// is that of its name, in lower case; `beside` is the directory it lies in, whose images it may show.
///
/// # Errors
/// [`Refusal`], which says what is wrong with it.
pub fn convert(bytes: &[u8], suffix: &str, beside: Option<&Path>, limits: &Limits) -> Result<Converted, Refusal> {
    let format = Format::of(bytes, suffix)?;
    let mut gallery = Gallery::new(limits);
    // A directory that cannot be entered has no images to show.
    let beside = beside.and_then(|directory| RealFs::open(directory).ok());
    let text = match format {
        Format::Pdf => pdf::convert(bytes, &mut gallery),
        Format::Docx | Format::Xlsx | Format::Pptx | Format::Doc | Format::Ppt => {
            office::convert(bytes, format, &mut gallery)
        }
        Format::Xls | Format::Xlsb | Format::Ods => sheet::workbook(bytes, format, &mut gallery),
        Format::Csv | Format::Tsv => sheet::delimited(bytes, format),
        Format::Epub => epub::convert(bytes, &mut gallery),
        Format::Html => html::convert(bytes, beside.as_ref(), &mut gallery),
        Format::Markdown => text::markdown(bytes, beside.as_ref(), &mut gallery),
        Format::Text | Format::Data => text::plain(bytes, format, suffix),
    }?;
    let (markdown, page_lines) = text.laid_out(limits)?;
    if !markdown.chars().any(char::is_alphanumeric) && gallery.is_empty() {
        return Err(Refusal::NoText);
    }
    let title = match &text.title {
        Some(title) => one_line(title),
        // A sheet's name says nothing of its workbook.
        None if format.is_table() => None,
        None => settle::first_heading(&markdown),
    };
    Ok(Converted {
        title,
        markdown,
        images: gallery.into_images(),
        page_lines,
        converter: format!("{}+{EDITION}", text.converter),
    })
}

/// What a converter gives: a text in pages, where the document has pages, else in one.
struct Paged {
    /// What the document calls itself; where it is empty, no heading is taken for it.
    title: Option<String>,
    pages: Vec<String>,
    /// Whether the pages are the document's.
    numbered: bool,
    converter: &'static str,
}

impl Paged {
    /// The whole text, which ends with a line's end, and on which line each page begins.
    fn laid_out(&self, limits: &Limits) -> Result<(String, Vec<u32>), Refusal> {
        let (mut markdown, mut lines, mut page_lines) = (String::new(), 0_u32, Vec::new());
        for page in &self.pages {
            page_lines.push(lines);
            let page = page.trim_matches('\n').trim_end();
            if page.is_empty() {
                continue;
            }
            if (markdown.len() + page.len()) as u64 > limits.text_bytes {
                return Err(Refusal::LongText { limit: limits.text_bytes });
            }
            markdown.push_str(page);
            markdown.push_str("\n\n");
            lines = lines.saturating_add(u32::try_from(page.matches('\n').count() + 2).unwrap_or(u32::MAX));
        }
        markdown.truncate(markdown.trim_end().len());
        markdown.push('\n');
        // What ends without text begins no later than on the last line.
        let last = u32::try_from(markdown.matches('\n').count().saturating_sub(1)).unwrap_or(u32::MAX);
        let page_lines =
            if self.numbered { page_lines.into_iter().map(|line| line.min(last)).collect() } else { Vec::new() };
        Ok((markdown, page_lines))
    }
}

/// A title as it may stand in a line; none where nothing of it is text.
fn one_line(title: &str) -> Option<String> {
    let words: Vec<&str> =
        title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let title: String = words.join(" ").chars().take(TITLE_CHARS_MAX).collect();
    title.chars().any(char::is_alphanumeric).then_some(title)
}

#[cfg(test)]
mod tests;
