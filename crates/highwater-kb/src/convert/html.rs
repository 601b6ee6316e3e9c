//! Pages of the web. Owns how they are read, and which images they may show: what they carry in themselves, and files below their
//! own directory.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use highwater_fs::{Fs as _, RealFs, RelPath};
use html_to_markdown_rs::{ConversionOptions, HiddenContent, PreprocessingOptions, PreprocessingPreset, WarningKind};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::io::Read as _;

use super::Paged;
use super::decode;
use super::error::Refusal;
use super::footnotes::Footnotes;
use super::gallery::Gallery;
use super::settle::{Author, Shown, settle};

/// What reads pages.
const CONVERTER: &str = "html-to-markdown/3.19.1";

/// Where the title of a page must be, in bytes from its beginning.
const TITLE_WITHIN_BYTES: usize = 256 * 1024;

/// Takes base64 with and without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn convert(bytes: &[u8], beside: Option<&RealFs>, gallery: &mut Gallery) -> Result<Paged, Refusal> {
    let page = decode::html(bytes)?;
    let (markdown, title) = to_markdown(&page, &mut 0)?;
    let markdown = settle(&markdown, Author::Converter, &mut |source| shown(source, beside, gallery))?;
    Ok(Paged { title, pages: vec![markdown], numbered: false, converter: CONVERTER })
}

/// A page as Markdown that is not settled yet, and its title; its footnotes are numbered on from `notes`.
pub(super) fn to_markdown(page: &str, notes: &mut usize) -> Result<(String, Option<String>), Refusal> {
    let options = ConversionOptions {
        // What is a menu to one page is the text of another: nothing is left out for its looks.
        preprocessing: PreprocessingOptions {
            enabled: true,
            preset: PreprocessingPreset::Minimal,
            remove_navigation: false,
            remove_forms: false,
        },
        hidden_content: HiddenContent::Reachable,
        escape_asterisks: true,
        escape_underscores: true,
        escape_misc: true,
        br_in_tables: true,
        // It would be a front matter at the beginning of the text.
        extract_metadata: false,
        ..ConversionOptions::default()
    };
    let page = without_links_in_code(page);
    let (page, footnotes) = Footnotes::mark(&page);
    let result = html_to_markdown_rs::convert(&page, options).map_err(Refusal::damaged)?;
    if result.warnings.iter().any(|warning| warning.kind == WarningKind::DepthLimitExceeded) {
        return Err(Refusal::Deep);
    }
    Ok((footnotes.noted(&result.content.unwrap_or_default(), notes), title(&page)))
}

/// A page whose preformatted text leads nowhere: between the fences of Markdown a link would be read as its markup.
fn without_links_in_code(page: &str) -> Cow<'_, str> {
    let lower = page.to_ascii_lowercase();
    let begins = |tag: &str, at: usize| {
        lower[at..]
            .strip_prefix(tag)
            .is_some_and(|rest| rest.starts_with(|c: char| c == '>' || c.is_ascii_whitespace()))
    };
    let (mut kept, mut at, mut in_code) = (String::new(), 0, false);
    for (tag, _) in lower.match_indices('<') {
        if begins("<pre", tag) {
            in_code = true;
        } else if begins("</pre", tag) {
            in_code = false;
        } else if in_code && tag >= at && (begins("<a", tag) || begins("</a", tag)) {
            kept.push_str(&page[at..tag]);
            at = tag + end_of_tag(&page[tag..]);
        }
    }
    if at == 0 {
        return Cow::Borrowed(page);
    }
    kept.push_str(&page[at..]);
    Cow::Owned(kept)
}

/// Where a tag ends: at the first `>` that is in no quotation marks.
fn end_of_tag(tag: &str) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
    }
    tag.len()
}

/// The title of a page, as its head says it.
fn title(page: &str) -> Option<String> {
    let mut end = page.len().min(TITLE_WITHIN_BYTES);
    while !page.is_char_boundary(end) {
        end -= 1;
    }
    let lower = page[..end].to_ascii_lowercase();
    let begin =
        lower.match_indices("<title").find(|(at, _)| matches!(lower.as_bytes().get(at + 6), Some(b'>' | b' ')))?.0;
    let begin = begin + lower[begin..].find('>')? + 1;
    let end = begin + lower[begin..].find("</title")?;
    let head = format!("<html><head><title>{}</title></head><body></body></html>", &page[begin..end]);
    html_to_markdown_rs::convert(&head, ConversionOptions::default()).ok()?.metadata.document.title
}

/// What is shown for an image's address in a document that lies in the directory `beside`.
pub(super) fn shown(source: &str, beside: Option<&RealFs>, gallery: &mut Gallery) -> Result<Shown, Refusal> {
    if let Some(bytes) = carried(source) {
        return hung(gallery.hang(bytes)?);
    }
    let lower = source.get(..8).unwrap_or(source).to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Ok(Shown::Elsewhere);
    }
    let (Some(directory), Some(path)) = (beside, local(source)) else { return Ok(Shown::Words) };
    let Ok(reader) = directory.reader(&path) else { return Ok(Shown::Words) };
    let mut bytes = Vec::new();
    let room = gallery.room_bytes();
    if reader.take(room.saturating_add(1)).read_to_end(&mut bytes).is_err() {
        return Ok(Shown::Words);
    }
    hung(gallery.hang(bytes)?)
}

pub(super) fn hung(name: Option<String>) -> Result<Shown, Refusal> {
    Ok(name.map_or(Shown::Words, Shown::Hung))
}

/// The bytes that an address carries in itself.
pub(super) fn carried(source: &str) -> Option<Vec<u8>> {
    let rest = source.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).map(|_| &source[5..])?;
    let (kind, data) = rest.split_once(',')?;
    if !kind.ends_with(";base64") {
        return Some(percent_decode_str(data).collect());
    }
    let data: Vec<u8> = percent_decode_str(data).filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(data).ok()
}

/// The file that an address means, below the directory of its document.
fn local(source: &str) -> Option<RelPath> {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let path: Vec<u8> = percent_decode_str(path).collect();
    let path = String::from_utf8(path).ok()?;
    RelPath::new(path).ok()
}
