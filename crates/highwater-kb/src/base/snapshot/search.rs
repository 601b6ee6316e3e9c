//! Finding words in a base. Owns the ranking, and what of a text is shown of a place that was found.

use highwater_db::sqlite::rusqlite;

use super::Snapshot;
use crate::base::rows::passages::terms;
use crate::base::rows::{int, told, unreadable};
use crate::error::KbError;
use crate::page::plain::one_line;
use crate::page::{PageKind, PageName};

/// The most words of a question that are looked up.
const TERMS_MAX: usize = 32;
/// The most places that one search gives.
pub const HITS_MAX: usize = 100;
/// How many places are ranked: of words that are in more, those that were written last.
const RANKED_MAX: usize = 5_000;
/// How many characters of a text a snippet shows.
const SNIPPET_CHARS: usize = 240;
/// How many of them are before the first word that was found.
const SNIPPET_LEAD_CHARS: usize = 60;

/// How the best places are found. A word in a title counts four times.
pub(crate) const SEARCH: &str = include_str!("search.sql");

/// A place where words were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The page.
    pub page: PageName,
    /// Under which heading, or what the page is called.
    pub heading: String,
    /// Its first and its last line in the page, from 1; `None` for a page as a whole.
    pub lines: Option<(u32, u32)>,
    /// Its first and its last page in the document, from 1, where that has pages.
    pub pages: Option<(u32, u32)>,
    /// What stands there, around the first word that was found.
    pub snippet: String,
    /// How well it answers: the higher, the better. It compares hits of one search alone.
    pub score: f64,
}

impl Snapshot {
    /// Finds the places that say these words best: those with all of them first, then those with some. At most `limit`, and
    /// [`HITS_MAX`].
    ///
    /// # Errors
    /// What the rows say, or an object that is missing or damaged.
    pub fn search(&self, query: &str, limit: usize) -> Result<Vec<Hit>, KbError> {
        let limit = limit.min(HITS_MAX);
        let terms = terms(query, TERMS_MAX);
        if terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut hits = self.matching(&terms.join(" AND "), limit)?;
        if hits.len() < limit && terms.len() > 1 {
            for hit in self.matching(&terms.join(" OR "), limit)? {
                let known = |known: &Hit| known.page == hit.page && known.lines == hit.lines;
                if hits.len() < limit && !hits.iter().any(known) {
                    hits.push(hit);
                }
            }
        }
        let words: Vec<String> = query
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        for hit in &mut hits {
            hit.snippet = self.snippet(hit, &words)?;
        }
        Ok(hits)
    }

    fn matching(&self, asked: &str, limit: usize) -> Result<Vec<Hit>, KbError> {
        let find = || -> rusqlite::Result<Vec<Hit>> {
            self.rows
                .prepare_cached(SEARCH)?
                .query_map((asked, int(RANKED_MAX), int(limit)), |row| {
                    let page: String = row.get(0)?;
                    let page = page.parse::<PageName>().map_err(|error| unreadable(0, error))?;
                    let lines: (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
                    let pages: (Option<u32>, Option<u32>) = (row.get(4)?, row.get(5)?);
                    Ok(Hit {
                        page,
                        heading: row.get(1)?,
                        lines: lines.0.zip(lines.1).map(|(begin, end)| (begin + 1, end.max(begin + 1))),
                        pages: pages.0.zip(pages.1),
                        snippet: String::new(),
                        score: -row.get::<_, f64>(6)?,
                    })
                })?
                .collect()
        };
        find().map_err(|error| told(&self.rows, "be searched", error))
    }

    /// What stands at a place that was found; of a page as a whole, what is below its heading.
    ///
    /// # Errors
    /// What the rows say, or an object that is missing or damaged.
    pub fn text(&self, hit: &Hit) -> Result<String, KbError> {
        let text = match hit.lines {
            Some((first, last)) => self.lines(&hit.page, first, last)?,
            None => self.page(&hit.page)?.map(|text| body(&hit.page, &text).to_owned()),
        };
        Ok(text.unwrap_or_default())
    }

    fn snippet(&self, hit: &Hit, words: &[String]) -> Result<String, KbError> {
        let text = self.text(hit)?;
        // A word is found in one of its forms: what it begins with is enough. What has no spaces may begin anywhere.
        let begins: Vec<&str> = words.iter().map(|word| stem(word)).collect();
        let found = positions(&text).find(|(_, word)| {
            let folded = word.to_lowercase();
            begins.iter().any(|stem| if stem.is_ascii() { folded.starts_with(stem) } else { folded.contains(stem) })
        });
        Ok(cut(&text, found.map_or(0, |(at, _)| at)))
    }
}

/// A page without its front matter and its heading.
fn body<'t>(page: &PageName, text: &'t str) -> &'t str {
    let text = text[crate::page::front::part(text).body_at..].trim_start();
    match page.kind() {
        PageKind::Source => text,
        _ if text.starts_with("# ") => text.split_once('\n').map_or("", |(_, rest)| rest),
        _ => text,
    }
}

/// What other forms of a word begin with too.
fn stem(word: &str) -> &str {
    const KEPT_BYTES_MIN: usize = 4;
    if !word.is_ascii() || word.len() <= KEPT_BYTES_MIN {
        return word;
    }
    ["ies", "ing", "es", "ed", "s", "y", "e"]
        .into_iter()
        .filter_map(|end| word.strip_suffix(end))
        .find(|stem| stem.len() >= KEPT_BYTES_MIN - 1)
        .unwrap_or(word)
}

/// The words of a text, with where they begin.
fn positions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive(|character: char| !character.is_alphanumeric()).filter_map(move |part| {
        let begin = at;
        at += part.len();
        let word = part.trim_end_matches(|character: char| !character.is_alphanumeric());
        (!word.is_empty()).then_some((begin, word))
    })
}

fn cut(text: &str, at: usize) -> String {
    let begin = text[..at].char_indices().rev().take(SNIPPET_LEAD_CHARS).last().map_or(at, |(begin, _)| begin);
    // At the beginning of a word.
    let space = if begin == 0 { None } else { text[begin..at].find(char::is_whitespace) };
    let begin = space.map_or(begin, |space| begin + space);
    let shown: String = text[begin..].chars().take(SNIPPET_CHARS).collect();
    let whole = begin + shown.len() == text.len();
    let (before, after) = (if begin == 0 { "" } else { "… " }, if whole { "" } else { " …" });
    let kept = if whole { None } else { shown.rsplit_once(char::is_whitespace) };
    format!("{before}{}{after}", one_line(kept.map_or(&*shown, |(kept, _)| kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_begins_before_the_word_and_ends_at_one() {
        let text = format!("{} tide {}", "word ".repeat(50), "after ".repeat(60));
        let at = text.find("tide").unwrap();
        let shown = cut(&text, at);
        assert!(shown.starts_with("… word") && shown.ends_with("after …") && shown.contains(" tide "), "{shown}");
        assert_eq!(cut("tide", 0), "tide");
        assert_eq!(cut("", 0), "");
        let positions: Vec<_> = positions("a, bc-d").collect();
        assert_eq!(positions, [(0, "a"), (3, "bc"), (6, "d")]);
        assert_eq!(["tides", "studies", "range", "sea"].map(stem), ["tid", "stud", "rang", "sea"]);
    }
}
