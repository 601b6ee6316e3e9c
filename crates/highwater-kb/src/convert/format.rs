//! Which format a document is: by its bytes first, by the suffix of its name only where bytes do not tell. So a document with a
//! wrong suffix is converted as what it is.

use std::fmt;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::{decode, gallery};

/// How much of a document is looked at for what it begins with, in bytes.
const HEAD_BYTES: usize = 1024;

/// A format that is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// Portable Document Format.
    Pdf,
    /// A text of Word since 2007.
    Docx,
    /// A workbook of Excel since 2007.
    Xlsx,
    /// Slides of PowerPoint since 2007.
    Pptx,
    /// A text of Word before.
    Doc,
    /// A workbook of Excel before.
    Xls,
    /// Slides of PowerPoint before.
    Ppt,
    /// A workbook of Excel in its binary form.
    Xlsb,
    /// An OpenDocument spreadsheet.
    Ods,
    /// A book.
    Epub,
    /// A page of the web.
    Html,
    /// Rows with commas, or what else separates them.
    Csv,
    /// Rows with tabs.
    Tsv,
    /// Markdown.
    Markdown,
    /// Text.
    Text,
    /// Text that a program reads: JSON, XML, YAML, TOML.
    Data,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
            Self::Xlsx => "XLSX",
            Self::Pptx => "PPTX",
            Self::Doc => "DOC",
            Self::Xls => "XLS",
            Self::Ppt => "PPT",
            Self::Xlsb => "XLSB",
            Self::Ods => "ODS",
            Self::Epub => "EPUB",
            Self::Html => "HTML",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Markdown => "Markdown",
            Self::Text => "text",
            Self::Data => "data",
        })
    }
}

impl Format {
    /// Whether it is rows and columns.
    #[must_use]
    pub fn is_table(self) -> bool {
        matches!(self, Self::Xlsx | Self::Xls | Self::Xlsb | Self::Ods | Self::Csv | Self::Tsv)
    }

    /// Whether it shows images that are files of their own, beside it.
    #[must_use]
    pub fn shows_what_lies_beside(self) -> bool {
        matches!(self, Self::Html | Self::Markdown)
    }

    /// Whether a suffix says that a file is a document: one that is read, or one that a person should save as something that is. What
    /// programs read, such as JSON, is a document where somebody names it.
    #[must_use]
    pub fn is_named(suffix: &str) -> bool {
        const DOCUMENTS: &[&str] = &[
            "pdf", "docx", "xlsx", "pptx", "doc", "xls", "ppt", "xlsb", "ods", "odt", "odp", "rtf", "epub", "htm",
            "html", "xhtml", "xht", "shtml", "md", "markdown", "mkd", "mdown", "mdwn", "txt", "text", "rst", "adoc",
            "org", "csv", "tsv", "tab",
        ];
        DOCUMENTS.contains(&suffix)
    }

    /// Which format these bytes are, in a file whose name has this suffix.
    ///
    /// # Errors
    /// Something else, which is named where it is known.
    pub fn of(bytes: &[u8], suffix: &str) -> Result<Self, Refusal> {
        if bytes.is_empty() {
            return Err(Refusal::Empty);
        }
        let head = &bytes[..bytes.len().min(HEAD_BYTES)];
        if is_pdf(head, suffix) {
            return Ok(Self::Pdf);
        }
        if head.starts_with(b"PK\x03\x04") {
            return zipped(bytes, suffix);
        }
        if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            return compound(bytes);
        }
        if let Some(other) = other(head) {
            return Err(Refusal::NotRead(other));
        }
        let text = decode::head(head)?;
        if begins_html(&text) {
            return Ok(Self::Html);
        }
        Ok(match suffix {
            "htm" | "html" | "xhtml" | "xht" | "shtml" => Self::Html,
            "md" | "markdown" | "mkd" | "mdown" | "mdwn" => Self::Markdown,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "json" | "jsonl" | "ndjson" | "xml" | "yaml" | "yml" | "toml" => Self::Data,
            _ => Self::Text,
        })
    }
}

/// Acrobat takes what has its mark in the first kilobyte; so does whoever calls it a PDF.
fn is_pdf(head: &[u8], suffix: &str) -> bool {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start().starts_with(b"%PDF-")
        || (suffix == "pdf" && memmem::find(head, b"%PDF-").is_some())
}

/// What a ZIP archive is, by what is in it; the suffix only says what is missing there.
fn zipped(bytes: &[u8], suffix: &str) -> Result<Format, Refusal> {
    let holds = |name: &[u8]| memmem::find(bytes, name).is_some();
    // OpenDocument and EPUB say it first, uncompressed.
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let says = |kind: &[u8]| memmem::find(head, kind).is_some_and(|at| head[..at].ends_with(b"mimetype"));
    if says(b"application/epub+zip") || holds(b"META-INF/container.xml") {
        return Ok(Format::Epub);
    }
    if says(b"application/vnd.oasis.opendocument.spreadsheet") {
        return Ok(Format::Ods);
    }
    if says(b"application/vnd.oasis.opendocument.text") {
        return Err(Refusal::NotRead("an OpenDocument text, which is not read: save it as DOCX"));
    }
    if says(b"application/vnd.oasis.opendocument") {
        return Err(Refusal::NotRead("an OpenDocument file of a kind that is not read: save it as PPTX or PDF"));
    }
    if holds(b"xl/workbook.bin") {
        return Ok(Format::Xlsb);
    }
    match undoc::detect_format_from_bytes(bytes) {
        Ok(undoc::FormatType::Docx) => Ok(Format::Docx),
        Ok(undoc::FormatType::Xlsx) => Ok(Format::Xlsx),
        Ok(undoc::FormatType::Pptx) => Ok(Format::Pptx),
        Err(undoc::Error::Encrypted) => Err(Refusal::Encrypted),
        _ if holds(b"word/document.xml") => Ok(Format::Docx),
        _ if holds(b"xl/workbook.xml") => Ok(Format::Xlsx),
        _ if holds(b"ppt/presentation.xml") => Ok(Format::Pptx),
        _ => Err(Refusal::NotRead(match suffix {
            "docx" | "docm" | "dotx" => "a ZIP archive with no `word/document.xml` in it: a damaged DOCX, or none",
            "xlsx" | "xlsm" | "xltx" => "a ZIP archive with no `xl/workbook.xml` in it: a damaged XLSX, or none",
            "pptx" | "pptm" | "ppsx" => "a ZIP archive with no `ppt/presentation.xml` in it: a damaged PPTX, or none",
            "epub" => "a ZIP archive with no `META-INF/container.xml` in it: a damaged EPUB, or none",
            "odt" | "ods" | "odp" => {
                "a ZIP archive that does not begin with its `mimetype`: a damaged OpenDocument file, or none"
            }
            _ => "a ZIP archive: unpack it, and add what is in it",
        })),
    }
}

/// What a compound file is, by its streams.
fn compound(bytes: &[u8]) -> Result<Format, Refusal> {
    match undoc::detect_format_from_bytes(bytes) {
        Ok(undoc::FormatType::Doc) => Ok(Format::Doc),
        Ok(undoc::FormatType::Xls) => Ok(Format::Xls),
        Ok(undoc::FormatType::Ppt) => Ok(Format::Ppt),
        Err(undoc::Error::Encrypted) => Err(Refusal::Encrypted),
        _ => Err(Refusal::NotRead("an older Office file that is damaged, or of a kind that is not read")),
    }
}

/// What is known and not read, by how it begins.
fn other(head: &[u8]) -> Option<&'static str> {
    if gallery::suffix_of(head).is_some_and(|suffix| suffix != "bmp" || head.contains(&0)) {
        return Some("an image: only text is read");
    }
    let known: [(&[u8], &str); 13] = [
        (b"{\\rtf", "RTF, which is not read: save it as DOCX"),
        (b"%!PS", "PostScript, which is not read: save it as PDF"),
        (b"\x1f\x8b", "compressed: unpack it first"),
        (b"BZh", "compressed: unpack it first"),
        (b"\xfd7zXZ\x00", "compressed: unpack it first"),
        (b"\x28\xb5\x2f\xfd", "compressed: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "an archive: unpack it, and add what is in it"),
        (b"Rar!\x1a\x07", "an archive: unpack it, and add what is in it"),
        (b"PK\x05\x06", "an archive with nothing in it"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3\x00", "a database"),
        (b"AT&TFORM", "DjVu, which is not read: save it as PDF"),
        (b"<?xml version=\"1.0\"?>\n<svg", "an image: only text is read"),
    ];
    known.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

/// Whether a text begins as a page of the web does.
fn begins_html(head: &str) -> bool {
    let mut rest = head.trim_start();
    // What may come first: declarations and comments.
    while rest.starts_with("<?") || rest.starts_with("<!--") {
        let end = if rest.starts_with("<?") { "?>" } else { "-->" };
        let Some(at) = rest.find(end) else { return false };
        rest = rest[at + end.len()..].trim_start();
    }
    let begins = |tag: &str| rest.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    begins("<!doctype html") || begins("<html") || begins("<head>") || begins("<head ")
}
