//! Markdown and text, which stay as they are, but for their encoding and what would lead nowhere.

use highwater_fs::RealFs;

use super::error::Refusal;
use super::format::Format;
use super::gallery::Gallery;
use super::settle::{Author, Shown, settle};
use super::{Paged, decode, html};

/// What keeps Markdown.
const MARKDOWN: &str = "markdown/1";
/// What keeps text.
const TEXT: &str = "text/1";
/// Most lines of the front matter of a Markdown file.
const FRONT_MATTER_LINES_MAX: usize = 200;

pub(super) fn markdown(bytes: &[u8], beside: Option<&RealFs>, gallery: &mut Gallery) -> Result<Paged, Refusal> {
    let text = decode::text(bytes)?;
    let (front, body) = front_matter(&text);
    let body = settle(body, Author::Person, &mut |source| html::shown(source, beside, gallery))?;
    let title = front.and_then(titled);
    // The page that it becomes a part of has a front matter of its own, so this one is kept as what it is.
    let page = match front {
        Some(front) => format!("```yaml\n{front}```\n\n{body}"),
        None => body,
    };
    Ok(Paged { title, pages: vec![page], numbered: false, converter: MARKDOWN })
}

pub(super) fn plain(bytes: &[u8], format: Format, suffix: &str) -> Result<Paged, Refusal> {
    let text = decode::text(bytes)?;
    let page = match format {
        Format::Data => fenced(&text, suffix),
        _ => settle(&text, Author::Nobody, &mut |_| Ok(Shown::Words))?,
    };
    Ok(Paged { title: None, pages: vec![page], numbered: false, converter: TEXT })
}

/// A front matter without its fences, where a text begins with one, and what follows it.
fn front_matter(text: &str) -> (Option<&str>, &str) {
    let Some(rest) = text.strip_prefix("---\n") else { return (None, text) };
    let mut at = 0;
    for line in rest.split_inclusive('\n').take(FRONT_MATTER_LINES_MAX) {
        let end = at + line.len();
        if matches!(line.trim_end(), "---" | "...") {
            let front = &rest[..at];
            // A rule at the beginning of a text is none.
            let keyed = front.lines().next().is_some_and(|line| line.contains(':'));
            return if keyed && !front.contains("```") { (Some(front), &rest[end..]) } else { (None, text) };
        }
        at = end;
    }
    (None, text)
}

/// The title that a front matter names.
fn titled(front: &str) -> Option<String> {
    let value = front.lines().find_map(|line| line.strip_prefix("title:"))?.trim();
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// A text as code, within a fence that is longer than any in it.
fn fenced(text: &str, language: &str) -> String {
    let longest = text.lines().map(|line| line.trim_start().bytes().take_while(|b| *b == b'`').count()).max();
    let fence = "`".repeat(longest.unwrap_or_default().max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end_matches('\n'))
}
