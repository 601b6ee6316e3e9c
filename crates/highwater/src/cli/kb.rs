//! What can be typed about knowledge bases.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use highwater_engine::settings::{ByteSize, DurationText};

/// `kb`.
#[derive(Debug, Subcommand)]
pub(crate) enum KbVerb {
    /// Converts one document to Markdown, as `kb add` would, without a base.
    ///
    /// Reads PDF, DOCX, XLSX, PPTX, DOC, XLS, PPT, XLSB, ODS, EPUB, HTML, CSV, TSV, Markdown and text, by what is in the file
    /// rather than by its name. DIR gets `text.md`, `images/`, and last `conversion.json`: format, converter, title, on which
    /// line each page begins, the images. The conversion is a process of its own with limited time and memory. A symlink is not
    /// followed. Exit 2 says what is wrong with the document.
    Convert(KbConvert),
}

/// `kb convert`.
#[derive(Debug, Args)]
pub(crate) struct KbConvert {
    /// The document.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where what comes of it is written; it is made, or is there and empty.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) to: PathBuf,
    /// Time of a processor it may take, and a second more for each MiB of the document; four times as long by the clock.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) time_max: DurationText,
    /// Memory it may need.
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub(crate) memory_max: ByteSize,
    /// This process is the conversion: it binds itself to these limits, as JSON.
    #[arg(long, value_name = "LIMITS", hide = true)]
    pub(crate) inside: Option<String>,
    /// The directory whose images the document may show.
    #[arg(long, value_name = "DIR", hide = true, requires = "inside")]
    pub(crate) beside: Option<PathBuf>,
}
