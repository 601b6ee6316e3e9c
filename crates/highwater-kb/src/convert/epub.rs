//! Books. Owns the order of chapters, and that a chapter's images are found in its book and nowhere else.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;

use percent_encoding::percent_decode_str;
use rbook::Epub;
use rbook::epub::manifest::EpubManifestEntry;

use super::error::Refusal;
use super::gallery::Gallery;
use super::html::{carried, hung, to_markdown};
use super::settle::{Author, Shown, first_heading, settle};
use super::{Paged, decode};

/// What reads books.
const CONVERTER: &str = "rbook/0.7.12";
/// Most chapters of a book.
const CHAPTERS_MAX: usize = 20_000;

pub(super) fn convert(bytes: &[u8], gallery: &mut Gallery) -> Result<Paged, Refusal> {
    if memchr::memmem::find(bytes, b"META-INF/encryption.xml").is_some() && encrypted(bytes) {
        return Err(Refusal::Encrypted);
    }
    let book = Epub::options().strict(false).read(Cursor::new(bytes.to_vec())).map_err(Refusal::damaged)?;
    let labels = labels(&book);
    let mut read = HashSet::new();
    let (mut pages, mut notes) = (Vec::new(), 0);
    for entry in book.spine().iter() {
        let Some(chapter) = entry.manifest_entry() else { continue };
        if !read.insert(chapter.index()) {
            continue;
        }
        if read.len() > CHAPTERS_MAX {
            return Err(Refusal::Damaged(format!("it has more than {CHAPTERS_MAX} chapters")));
        }
        // A book's list of what is in it is what its headings are, too.
        if chapter.properties().has_property("nav") {
            continue;
        }
        pages.push(page(&book, chapter, &labels, gallery, &mut notes)?);
    }
    let title = book.metadata().title().map(|title| title.value().to_owned());
    Ok(Paged { title, pages, numbered: false, converter: CONVERTER })
}

fn page(
    book: &Epub,
    chapter: EpubManifestEntry<'_>,
    labels: &HashMap<String, String>,
    gallery: &mut Gallery,
    notes: &mut usize,
) -> Result<String, Refusal> {
    let bytes = chapter.read_bytes().map_err(|error| lost(chapter, &error))?;
    let path = chapter.href().path().as_str().to_owned();
    if chapter.media_type().starts_with("image/") {
        let name = gallery.hang(bytes)?;
        return Ok(name.map_or_else(String::new, |name| format!("![](images/{name})")));
    }
    let (markdown, _) = to_markdown(&decode::html(&bytes)?, notes)?;
    let text = settle(&markdown, Author::Converter, &mut |source| shown(source, book, &path, gallery))?;
    match labels.get(&path) {
        Some(label) if first_heading(&text).is_none() && text.chars().any(char::is_alphanumeric) => {
            Ok(format!("# {}\n\n{text}", super::settle::escaped(label)))
        }
        _ => Ok(text),
    }
}

/// What the book's own list calls each chapter; the first word of several counts.
fn labels(book: &Epub) -> HashMap<String, String> {
    let mut labels = HashMap::new();
    let Some(contents) = book.toc().contents() else { return labels };
    for entry in contents.flatten().take(CHAPTERS_MAX) {
        let (Some(href), Some(label)) = (entry.href(), super::one_line(entry.label())) else { continue };
        labels.entry(href.path().as_str().to_owned()).or_insert(label);
    }
    labels
}

fn shown(source: &str, book: &Epub, chapter: &str, gallery: &mut Gallery) -> Result<Shown, Refusal> {
    if let Some(bytes) = carried(source) {
        return hung(gallery.hang(bytes)?);
    }
    let lower = source.get(..8).unwrap_or(source).to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Ok(Shown::Elsewhere);
    }
    let Some(wanted) = resolved(chapter, source) else { return Ok(Shown::Words) };
    let decoded = |path: &str| percent_decode_str(path).decode_utf8_lossy().into_owned();
    let entry = book.manifest().images().find(|entry| decoded(entry.href().path().as_str()) == wanted);
    match entry.map(|entry| entry.read_bytes()) {
        Some(Ok(bytes)) => hung(gallery.hang(bytes)?),
        _ => Ok(Shown::Words),
    }
}

/// A path from the book's root, for an address in a chapter.
fn resolved(chapter: &str, source: &str) -> Option<String> {
    let source = source.split(['?', '#']).next().unwrap_or_default();
    let source = percent_decode_str(source).decode_utf8().ok()?.into_owned();
    let chapter = percent_decode_str(chapter).decode_utf8().ok()?.into_owned();
    let mut names: Vec<&str> = match source.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => chapter.split('/').filter(|name| !name.is_empty()).collect(),
    };
    if !source.starts_with('/') {
        names.pop();
    }
    for name in source.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(format!("/{}", names.join("/")))
}

/// Whether more than fonts is encrypted.
fn encrypted(bytes: &[u8]) -> bool {
    // A book whose chapters are encrypted names a way to the key; fonts are only mangled.
    memchr::memmem::find(bytes, b"META-INF/rights.xml").is_some()
        || memchr::memmem::find(bytes, b"META-INF/license.lcpl").is_some()
}

fn lost(chapter: EpubManifestEntry<'_>, error: &dyn std::error::Error) -> Refusal {
    Refusal::damaged(format!("{} cannot be read: {error}", chapter.href().as_str()))
}
