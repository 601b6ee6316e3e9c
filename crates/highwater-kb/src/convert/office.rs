//! Files of Word, Excel and PowerPoint. Owns that each slide is a page.

mod listings;

use std::collections::HashMap;

use undoc::model::ResourceRole;
use undoc::render::{RenderOptions, RevisionHandling, render_section_to_string};
use undoc::{Block, Document, Error};

use super::Paged;
use super::error::Refusal;
use super::format::Format;
use super::gallery::Gallery;
use super::html::hung;
use super::settle::{Author, Shown, settle};
use listings::Listings;

/// What reads office files.
const CONVERTER: &str = "undoc/0.27.1";
/// What is put before an image's name, so that no other address is taken for one.
const IMAGE_PREFIX: &str = "highwater-office-image:";
/// The deepest heading.
const HEADING_LEVEL_MAX: u8 = 6;

pub(super) fn convert(bytes: &[u8], format: Format, gallery: &mut Gallery) -> Result<Paged, Refusal> {
    let mut document = undoc::parse_bytes(bytes).map_err(refusal)?;
    let rendering = RenderOptions {
        max_heading_level: HEADING_LEVEL_MAX,
        // Without it the words before and after a break are one word.
        preserve_line_breaks: true,
        revision_handling: RevisionHandling::AcceptAll,
        ..RenderOptions::new().with_image_prefix(IMAGE_PREFIX)
    };
    // An address names an image by its id, which no file name can be mistaken for.
    let names: HashMap<String, String> = document.resources.keys().map(|id| (id.clone(), id.clone())).collect();
    let listings = Listings::of(&mut document);
    let slides = matches!(format, Format::Pptx | Format::Ppt);
    let mut pages = Vec::with_capacity(document.sections.len());
    for (at, section) in document.sections.iter().enumerate() {
        let text = render_section_to_string(section, at, document.format, &rendering, &names);
        let text = headed(&listings.put_back(&text), section.name.as_deref(), slides);
        let text = settle(&text, Author::Converter, &mut |source| shown(source, &document, gallery))?;
        pages.push(spaced(&text));
    }
    if !slides {
        pages = vec![pages.join("\n\n")];
    }
    let title = document.metadata.title.filter(|title| !title.trim().is_empty());
    let title = title.or_else(|| if slides { first_line(&document.sections) } else { None });
    Ok(Paged { title, pages, numbered: slides, converter: CONVERTER })
}

/// A sheet or a slide without the rule before its heading, which says nothing; a slide that has a title of its own is headed by it,
/// another by its number.
fn headed(text: &str, name: Option<&str>, slide: bool) -> String {
    let Some(name) = name else { return text.to_owned() };
    let text = text.trim_start_matches('\n');
    let text = text.strip_prefix("---\n").unwrap_or(text).trim_start_matches('\n');
    let heading = format!("## {name}\n");
    match text.strip_prefix(&heading) {
        Some(rest) if slide && rest.trim_start_matches('\n').starts_with("# ") => {
            rest.trim_start_matches('\n').to_owned()
        }
        Some(rest) if slide => format!("# {name}\n{rest}"),
        _ => text.to_owned(),
    }
}

/// One empty line between blocks; what is in a fence stays.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    let (mut fenced, mut empty) = (false, false);
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if line.is_empty() && empty && !fenced {
            continue;
        }
        empty = line.is_empty();
        spaced.push_str(line);
        spaced.push('\n');
    }
    spaced
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
    first.content.iter().find_map(|block| match block {
        Block::Paragraph(paragraph) => super::one_line(&paragraph.plain_text()),
        _ => None,
    })
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Encrypted => Refusal::Encrypted,
        other => Refusal::damaged(other),
    }
}
