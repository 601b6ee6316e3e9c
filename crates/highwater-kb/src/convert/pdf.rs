//! PDF. Owns that each page begins where the text says so, and what is refused: what is encrypted, scanned, or lost in part.

mod called;
mod complete;
mod destinations;
mod headings;
mod outline;
mod running;

use unpdf::render::{CleanupPipeline, to_markdown};
use unpdf::{CleanupOptions, Document, Error, ParseOptions, RenderOptions};

use super::Paged;
use super::error::Refusal;
use super::gallery::Gallery;
use super::html::hung;
use super::settle::{Author, Shown, first_heading, settle};

/// What reads PDF.
const CONVERTER: &str = "unpdf/0.52.1";
/// What is smaller, in pixels, is a bullet or a rule and not an image.
const IMAGE_PIXELS_MIN: u32 = 24;
/// What is put before an image's name, so that no other address is taken for one.
const IMAGE_PREFIX: &str = "highwater-pdf-image:";

pub(super) fn convert(bytes: &[u8], gallery: &mut Gallery) -> Result<Paged, Refusal> {
    let options =
        ParseOptions::new().lenient().sequential().with_resources(true).with_min_image_dimension(IMAGE_PIXELS_MIN);
    let mut document = unpdf::parse_bytes_with_options(bytes, options).map_err(refusal)?;
    whole(&document)?;
    let title = document.metadata.title.take().and_then(said);
    destinations::tell(&mut document, bytes);
    headings::level(&mut document);
    let rendering = RenderOptions { cleanup: None, ..RenderOptions::new().with_image_prefix(IMAGE_PREFIX) };
    let cleanup = CleanupPipeline::new(CleanupOptions::standard());
    let fields = std::mem::take(&mut document.form_fields);
    let mut pages = Vec::with_capacity(document.pages.len());
    for page in std::mem::take(&mut document.pages) {
        document.pages = vec![page];
        let text = cleanup.process(&to_markdown(&document, &rendering).map_err(refusal)?);
        let text = settle(&text, Author::Converter, &mut |source| shown(source, &document, gallery))?;
        pages.push(text);
    }
    running::left_out(&mut pages);
    // The first heading of a later page is that of a chapter.
    let title = title.or_else(|| first_heading(pages.first()?)).or_else(|| Some(String::new()));
    document.pages.clear();
    document.form_fields = fields;
    if let Some(last) = pages.last_mut().filter(|_| !document.form_fields.is_empty()) {
        let form = to_markdown(&document, &rendering).map_err(refusal)?;
        last.push_str("\n\n");
        last.push_str(&form);
    }
    Ok(Paged { title, pages, numbered: true, converter: CONVERTER })
}

fn shown(source: &str, document: &Document, gallery: &mut Gallery) -> Result<Shown, Refusal> {
    let Some(id) = source.strip_prefix(IMAGE_PREFIX) else { return Ok(Shown::Words) };
    match document.get_resource(id) {
        Some(resource) => hung(gallery.hang(resource.data.clone())?),
        None => Ok(Shown::Words),
    }
}

/// Refuses a document of which a part would be missing without a word.
fn whole(document: &Document) -> Result<(), Refusal> {
    let quality = &document.extraction_quality;
    if quality.pages_incomplete {
        return Err(Refusal::Damaged(match quality.declared_page_count {
            Some(declared) => format!("of its {declared} pages, {} can be read", document.pages.len()),
            None => "which pages it has cannot be read".to_owned(),
        }));
    }
    if quality.undecodable_content_streams > 0 {
        return Err(Refusal::Damaged(format!(
            "the content of {} of its pages cannot be read",
            document.pages.iter().filter(|page| page.undecodable_content_streams > 0).count()
        )));
    }
    if document.plain_text().chars().any(char::is_alphanumeric) {
        return Ok(());
    }
    let pages = &document.pages;
    Err(if pages.iter().any(|page| page.suppressed_text_runs > 0) {
        Refusal::Unreadable
    } else if pages.iter().any(|page| page.image_op_count > 0) {
        Refusal::Scanned
    } else {
        Refusal::NoText
    })
}

/// The title that a document's author gave it; programs give some, too.
fn said(title: String) -> Option<String> {
    let given = title.trim();
    let given = ["Microsoft Word - ", "Microsoft PowerPoint - "]
        .iter()
        .find_map(|program| given.strip_prefix(program))
        .unwrap_or(given);
    let file = [".doc", ".docx", ".dvi", ".tex", ".ps", ".pdf", ".indd", ".qxd", ".fm", ".ppt", ".pptx", ".odt"];
    let lower = given.to_lowercase();
    let of_program = file.iter().any(|suffix| lower.ends_with(suffix)) || lower.starts_with("untitled");
    (!given.is_empty() && !of_program).then(|| given.to_owned())
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Encrypted | Error::InvalidPassword => Refusal::Encrypted,
        other => Refusal::damaged(other),
    }
}
