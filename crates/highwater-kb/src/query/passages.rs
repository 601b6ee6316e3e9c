//! The places of a base that say most of a question, with what they say. Owns which words of a question are looked for, and how much of
//! each place is read.

use serde::{Deserialize, Serialize};

use crate::base::{Hit, Snapshot};
use crate::error::KbError;
use crate::llm::tokens;
use crate::page::{PageKind, PageName};
use crate::prose::Language;

/// The most places that are read for an answer.
pub const PASSAGES_MAX: usize = 16;
/// How many places are looked at for that: answers that somebody kept, and reports, are no sources.
const HITS_LOOKED_AT: usize = 48;
/// The most tokens of one place.
pub const PASSAGE_TOKENS_MAX: u64 = 1_500;
/// With fewer tokens left nothing more is read.
const PASSAGE_TOKENS_MIN: u64 = 60;

/// A place, and what it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Passage {
    /// The page.
    pub page: PageName,
    /// What its document or what it is about is called.
    pub title: String,
    /// Under which heading.
    pub heading: String,
    /// Its first and its last line in the page, from 1; `None` for a page as a whole.
    pub lines: Option<(u32, u32)>,
    /// Its first and its last page in the document, from 1, where that has pages.
    pub pages: Option<(u32, u32)>,
    /// What it says.
    #[serde(skip)]
    pub text: String,
}

impl Passage {
    /// Where it is, in words: `Tides: Springs, pages 3 to 4, lines 80 to 120`.
    #[must_use]
    pub fn place(&self) -> String {
        let heading = if self.heading == self.title { String::new() } else { format!(": {}", self.heading) };
        let pages = match self.pages {
            Some((first, last)) if first == last => format!(", page {first}"),
            Some((first, last)) => format!(", pages {first} to {last}"),
            None => String::new(),
        };
        let lines = self.lines.map(|(first, last)| format!(", lines {first} to {last}")).unwrap_or_default();
        format!("{}{heading}{pages}{lines}", self.title)
    }
}

/// The words of a question that say what it is about; all of them where none does.
#[must_use]
pub fn words(question: &str) -> String {
    let language = Language::of(std::iter::once(question));
    let mut said = question.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut kept: Vec<&str> = Vec::new();
    for word in said.by_ref() {
        let folded = word.to_lowercase();
        if !language.is_stop(&folded) && !kept.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            kept.push(word);
        }
    }
    if kept.is_empty() { question.to_owned() } else { kept.join(" ") }
}

/// The places that say most of a question, the best first, of at most so many tokens together.
///
/// # Errors
/// What the rows or the disk say.
pub fn passages(snapshot: &Snapshot, question: &str, tokens_max: u64) -> Result<Vec<Passage>, KbError> {
    let mut left = tokens_max;
    let mut passages: Vec<Passage> = Vec::new();
    for hit in snapshot.search(&words(question), HITS_LOOKED_AT)? {
        if passages.len() == PASSAGES_MAX || left < PASSAGE_TOKENS_MIN {
            break;
        }
        if matches!(hit.page.kind(), PageKind::Exploration | PageKind::Report) {
            continue;
        }
        let text = snapshot.text(&hit)?;
        let text = tokens::cut(text.trim(), PASSAGE_TOKENS_MAX.min(left)).trim_end();
        if text.is_empty() {
            continue;
        }
        left = left.saturating_sub(tokens::estimate(text) + PASSAGE_TOKENS_MIN);
        let Hit { page, heading, lines, pages, .. } = hit;
        passages.push(Passage {
            title: title(snapshot, &page, &heading)?,
            page,
            heading,
            lines,
            pages,
            text: text.to_owned(),
        });
    }
    Ok(passages)
}

/// What people call what a page is about: of a text, its document.
fn title(snapshot: &Snapshot, page: &PageName, heading: &str) -> Result<String, KbError> {
    let document = match page.kind() {
        PageKind::Source | PageKind::Summary => snapshot.document_called(page.stem())?,
        _ => None,
    };
    let record = document.map(|name| snapshot.document(&name)).transpose()?.flatten();
    Ok(record.map_or_else(|| heading.to_owned(), |record| record.title))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_say_nothing_are_not_looked_for() {
        assert_eq!(words("What is the tidal range of the Thames?"), "tidal range Thames");
        assert_eq!(words("who is it"), "who is it");
        assert_eq!(words("潮汐は何ですか"), "潮汐は何ですか");
        assert_eq!(words("tide tide Tide"), "tide");
    }
}
