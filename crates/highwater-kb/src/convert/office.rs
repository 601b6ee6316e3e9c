//! Files of Word, Excel and PowerPoint. Owns that each slide is a page.

use std::collections::HashMap;

use undoc::model::ResourceRole;
use undoc::render::{RenderOptions, RevisionHandling, render_section_to_string};
use undoc::{Block, Document, Error};

use super::Paged;
use super::error::Refusal;
use super::format::Format;
use super::gallery::Gallery;
use super::html::hung;
use super::settle::{Shown, Tags, settle};

/// What reads office files.
const CONVERTER: &str = "undoc/0.27.1";
/// What is put before an image's name, so that no other address is taken for one.
const IMAGE_PREFIX: &str = "highwater-office-image:";
/// The deepest heading.
const HEADING_LEVEL_MAX: u8 = 6;

pub(super) fn convert(bytes: &[u8], format: Format, gallery: &mut Gallery) -> Result<Paged, Refusal> {
    let document = undoc::parse_bytes(bytes).map_err(refusal)?;
    let rendering = RenderOptions {
        max_heading_level: HEADING_LEVEL_MAX,
        revision_handling: RevisionHandling::AcceptAll,
        ..RenderOptions::new().with_image_prefix(IMAGE_PREFIX)
    };
    // An address names an image by its id, which no file name can be mistaken for.
    let names: HashMap<String, String> = document.resources.keys().map(|id| (id.clone(), id.clone())).collect();
    let slides = matches!(format, Format::Pptx | Format::Ppt);
    let mut pages = Vec::with_capacity(document.sections.len());
    for (at, section) in document.sections.iter().enumerate() {
        let mut text = render_section_to_string(section, at, document.format, &rendering, &names);
        // Between sheets and slides stands a heading; a rule as well says nothing.
        if section.name.is_some() {
            text = text.trim_start_matches('\n').strip_prefix("---\n").map_or(text.clone(), str::to_owned);
        }
        pages.push(settle(&text, Tags::Markup, &mut |source| shown(source, &document, gallery))?);
    }
    if !slides {
        pages = vec![pages.join("\n\n")];
    }
    let title = document.metadata.title.filter(|title| !title.trim().is_empty());
    let title = title.or_else(|| if slides { first_line(&document.sections) } else { None });
    Ok(Paged { title, pages, numbered: slides, converter: CONVERTER })
}

fn shown(source: &str, document: &Document, gallery: &mut Gallery) -> Result<Shown, Refusal> {
    let Some(id) = source.strip_prefix(IMAGE_PREFIX) else { return super::html::shown(source, None, gallery) };
    let Some(resource) = document.resources.get(id) else { return Ok(Shown::Words) };
    if let Some(name) = gallery.hang(resource.data.clone())? {
        return Ok(Shown::Hung(name));
    }
    // A drawing of Windows is shown by nobody; the picture that was drawn of it may be there, too.
    let companion = document
        .resources
        .values()
        .find(|other| other.role == ResourceRole::Alternate && other.companion_of.as_deref() == Some(id));
    match companion {
        Some(other) => hung(gallery.hang(other.data.clone())?),
        None => Ok(Shown::Words),
    }
}

/// What slides call themselves: the first of them says it.
fn first_line(slides: &[undoc::Section]) -> Option<String> {
    let first = slides.first()?;
    first.name.clone().filter(|name| !name.trim().is_empty()).or_else(|| {
        first.content.iter().find_map(|block| match block {
            Block::Paragraph(paragraph) => super::one_line(&paragraph.plain_text()),
            _ => None,
        })
    })
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Encrypted => Refusal::Encrypted,
        other => Refusal::damaged(other),
    }
}
