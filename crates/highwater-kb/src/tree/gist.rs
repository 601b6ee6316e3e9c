//! What a section says, in a sentence or two of its own. Owns which.

use std::sync::Arc;

use super::lines::Lines;
use super::{SUMMARY_CHARS_MAX, Section};
use crate::prose::{BlockKind, Language, Reading, boundary, cut, plain, weights};

/// How much of a section is looked at.
const GIST_BYTES_MAX: usize = 8 * 1024;
/// How much of the text tells its language.
const LANGUAGE_BYTES_MAX: usize = 64 * 1024;
/// How many children or items are named where no sentence tells.
const NAMED_MAX: usize = 5;

/// Says of each section what it says.
pub(super) fn tell(sections: &mut [Section], text: &str, lines: &Lines<'_>) {
    let sample = Reading::of(&text[..boundary(text, LANGUAGE_BYTES_MAX)], &[]);
    walk(sections, lines, &sample.language);
}

fn walk(sections: &mut [Section], lines: &Lines<'_>, language: &Arc<Language>) {
    for section in sections {
        walk(&mut section.children, lines, language);
        let own = section.children.first().map_or(section.end_line, |child| child.begin_line);
        let text = lines.slice(section.begin_line, own);
        let text = &text[..boundary(text, GIST_BYTES_MAX)];
        let reading = Reading::in_language(text, &[], language);
        section.summary = told(&reading)
            .or_else(|| named(section.children.iter().map(|child| child.title.clone())))
            .or_else(|| listed(&reading))
            .unwrap_or_default();
    }
}

/// The sentence that says most of a text.
fn told(reading: &Reading) -> Option<String> {
    let weights = weights(reading, "");
    let best = (0..reading.sentences.len())
        .filter(|at| weights[*at] > 0)
        .max_by_key(|at| (weights[*at], std::cmp::Reverse(*at)))?;
    Some(cut(&plain(reading.text(&reading.sentences[best])), SUMMARY_CHARS_MAX))
}

/// What is there where no sentence stands: items, a table, the beginning of the words.
pub(crate) fn listed(reading: &Reading) -> Option<String> {
    let said = |kind| {
        let blocks = reading.blocks.blocks.iter().zip(&reading.silent);
        blocks
            .filter(move |(block, silent)| !**silent && block.kind == kind)
            .map(|(block, _)| cut(&plain(&block.text), 60))
    };
    named(said(BlockKind::Item)).or_else(|| {
        let table = reading.blocks.tables.first().map(|table| format!("A table: {}.", table.columns.join(", ")));
        let table = table.map(|table| cut(&plain(&table), SUMMARY_CHARS_MAX));
        table.or_else(|| said(BlockKind::Paragraph).next())
    })
}

fn named(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.filter(|name| !name.is_empty()).take(NAMED_MAX + 1).collect();
    if names.is_empty() {
        return None;
    }
    let more = if names.len() > NAMED_MAX { "; …" } else { "" };
    Some(cut(&format!("{}{more}", names[..names.len().min(NAMED_MAX)].join("; ")), SUMMARY_CHARS_MAX))
}
