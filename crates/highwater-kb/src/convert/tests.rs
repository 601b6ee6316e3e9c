//! What the converters make of documents: each format in a small one, as a snapshot that is read before it is accepted; what is
//! wrong with a document, as its sentence; and what must never happen, whatever the bytes.

use std::fmt::Write as _;
use std::fs;

use highwater_testkit::documents::{self, Pdf};

use super::*;

mod formats;
mod hostile;

/// All of what was converted, to be read.
fn shown(converted: &Converted) -> String {
    let mut text = format!("title: {:?}\nconverter: {}\n", converted.title, converted.converter);
    if !converted.page_lines.is_empty() {
        writeln!(text, "pages begin on lines: {:?}", converted.page_lines).unwrap();
    }
    for image in &converted.images {
        writeln!(text, "image: {} ({} bytes)", image.name, image.bytes.len()).unwrap();
    }
    text.push_str("----\n");
    text.push_str(&converted.markdown);
    text
}

fn of(bytes: &[u8], suffix: &str) -> Result<Converted, Refusal> {
    convert(bytes, suffix, None, &Limits::default())
}

fn refusal(bytes: &[u8], suffix: &str) -> String {
    of(bytes, suffix).expect_err("it is refused").to_string()
}
