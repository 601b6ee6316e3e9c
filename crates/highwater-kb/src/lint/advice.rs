//! What a language model finds in pages that documents share: statements that contradict each other, what is out of date, what is
//! missing. Owns what is asked, and that nothing is told which the page does not say: a finding quotes it, and one whose quotes are not
//! there is none.
//!
//! It is asked page by page, in their order, and what it was asked once it is not asked again: a page that is as it was costs nothing.

use std::sync::{Arc, LazyLock};

use highwater_engine::job::ReadCx;
use serde::Deserialize;
use serde_json::json;

use super::{Finding, Kind, Linted, ROWS};
use crate::base::{Home, Snapshot};
use crate::error::KbError;
use crate::llm::{Answer, Form, LlmSettings, MATERIAL, Message, Model, Request, Role, Unsaid, between, object, tokens};
use crate::page::plain::one_line;
use crate::page::{PageKind, PageName};
use crate::prose::cut;

/// The most findings of a page.
pub const FINDINGS_OF_A_PAGE_MAX: usize = 5;
/// A page of fewer documents has nobody to contradict.
const DOCUMENTS_MIN: u64 = 2;
/// The most characters of what is told of a finding, and of each quote.
const TOLD_CHARS_MAX: usize = 240;
/// The fewest characters of a quote: fewer stand anywhere.
const QUOTE_CHARS_MIN: usize = 8;
/// Tokens that are kept free besides: for names, lines and marks.
const SPARE_TOKENS: u64 = 200;
/// With less room than this nothing is given.
const ROOM_TOKENS_MIN: u64 = 512;

/// What is asked of every page.
static ASKED: LazyLock<String> =
    LazyLock::new(|| include_str!("advice.txt").replace("FINDINGS_MAX", &FINDINGS_OF_A_PAGE_MAX.to_string()));

/// What a model said of a base.
#[derive(Debug, Default)]
pub struct Advice {
    /// What it found, in the order of the pages.
    pub findings: Vec<Finding>,
    /// Pages that it read.
    pub pages: u64,
    /// What it found and did not quote as it stands there: it is not told.
    pub dropped: u64,
    /// Pages of which it said nothing that can be used.
    pub unusable: u64,
    /// Why it was not asked of the rest, where it was not.
    pub ended: Option<Unsaid>,
}

impl Linted {
    /// Takes in what a model said.
    pub fn take(&mut self, advice: &Advice) {
        for finding in &advice.findings {
            *self.counts.entry(finding.kind).or_default() += 1;
            if self.counts[&finding.kind] <= super::FINDINGS_OF_A_KIND_MAX as u64 {
                self.findings.push(finding.clone());
            }
        }
        self.findings.sort_by(|a, b| (a.kind, &a.file, a.line, &a.what).cmp(&(b.kind, &b.file, b.line, &b.what)));
    }
}

/// A finding as the model says it.
#[derive(Debug, Deserialize)]
struct Said {
    kind: String,
    what: String,
    #[serde(default)]
    quotes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct AllSaid {
    findings: Vec<Said>,
}

/// Asks a model of every page that documents share, as the newest generation has it. What a person edited on the disk is not asked about.
///
/// # Errors
/// What the base says; what the model does not say is in [`Advice::ended`].
pub async fn advise(model: &Model, cx: &ReadCx, home: &Arc<dyn Home>) -> Result<Advice, KbError> {
    let mut advice = Advice::default();
    let home = Arc::clone(home);
    let mut snapshot = on_disk(move || Snapshot::open(home)).await??;
    for kind in [PageKind::Concept, PageKind::Entity] {
        let mut after = Vec::new();
        loop {
            let from = std::mem::take(&mut after);
            let (kept, listed) = on_disk(move || {
                let listed = snapshot.listed_after(kind, &from, ROWS);
                (snapshot, listed)
            })
            .await?;
            snapshot = kept;
            let listed = listed?;
            let Some(last) = listed.last() else { break };
            after = last.key.clone();
            for page in listed.into_iter().filter(|page| page.documents >= DOCUMENTS_MIN) {
                let name = page.name.clone();
                let (kept, text) = on_disk(move || {
                    let text = snapshot.page(&name);
                    (snapshot, text)
                })
                .await?;
                snapshot = kept;
                let Some(text) = text? else { continue };
                match model.ask(cx, &asked(&page.name, &text, model.settings())).await {
                    Ok(answer) => advice.add(&page.name, &text, &answer),
                    // It is this page's own.
                    Err(Unsaid::TooLong(_)) => advice.unusable += 1,
                    Err(unsaid) => {
                        advice.ended = Some(unsaid);
                        return Ok(advice);
                    }
                }
            }
        }
    }
    Ok(advice)
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KbError> {
    tokio::task::spawn_blocking(work).await.map_err(|broke| KbError::io("be read")(std::io::Error::other(broke)))
}

fn asked(page: &PageName, text: &str, settings: &LlmSettings) -> Request {
    let taken = settings.answer_tokens_max() + tokens::estimate(&ASKED) + tokens::estimate(MATERIAL) + SPARE_TOKENS;
    let room = settings.context.saturating_sub(taken).max(ROOM_TOKENS_MIN);
    let text = tokens::cut(&text[crate::page::front::part(text).body_at..], room);
    let messages = vec![
        Message::new(Role::System, format!("{}\n{MATERIAL}", *ASKED)),
        Message::new(Role::User, format!("The page {page}:\n\n{}", between(text))),
    ];
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let kinds = json!({ "type": "string", "enum": ["contradiction", "stale", "gap"] });
    let finding = json!({ "type": "object", "additionalProperties": false, "required": ["kind", "what", "quotes"],
        "properties": { "kind": kinds, "what": { "type": "string" }, "quotes": texts } });
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["findings"],
        "properties": { "findings": { "type": "array", "items": finding } } });
    Request { messages, form: Form::Json { name: "findings", schema } }
}

impl Advice {
    /// Takes in what was said of a page.
    fn add(&mut self, page: &PageName, text: &str, answer: &Answer) {
        self.pages += 1;
        let said = object(crate::llm::words(&answer.text)).ok();
        let Some(AllSaid { findings }) = said.and_then(|said| serde_json::from_value(said).ok()) else {
            self.unusable += 1;
            return;
        };
        let lines: Vec<String> = text.lines().map(one_line).collect();
        for said in findings.into_iter().take(FINDINGS_OF_A_PAGE_MAX) {
            match finding(page, &lines, &said) {
                Some(finding) => self.findings.push(finding),
                None => self.dropped += 1,
            }
        }
    }
}

/// What was said, if the page says what it quotes.
fn finding(page: &PageName, lines: &[String], said: &Said) -> Option<Finding> {
    let (kind, quotes, mends) = match said.kind.as_str() {
        "contradiction" => {
            (Kind::Contradiction, 2, "look at what the documents say, and correct the one that is wrong")
        }
        "stale" => (Kind::Stale, 2, "replace the document that is out of date, or remove it: `highwater kb remove`"),
        "gap" => (Kind::Gap, 1, "add a document that says it"),
        _ => return None,
    };
    let what = cut(&one_line(&said.what), TOLD_CHARS_MAX);
    let mut quoted: Vec<(usize, String)> = Vec::new();
    for quote in &said.quotes {
        let quote = one_line(quote);
        let line = lines.iter().position(|line| line.contains(&quote))?;
        let is_new = quoted.iter().all(|(_, known)| *known != quote);
        if is_new && quote.chars().count() >= QUOTE_CHARS_MIN {
            quoted.push((line, quote));
        }
    }
    if quoted.len() < quotes || !what.chars().any(char::is_alphanumeric) {
        return None;
    }
    let quotes: Vec<String> = quoted.iter().map(|(_, quote)| format!("“{}”", cut(quote, TOLD_CHARS_MAX))).collect();
    Some(Finding {
        kind,
        file: page.path().to_string(),
        line: quoted.iter().map(|(line, _)| line + 1).min().and_then(|line| u32::try_from(line).ok()),
        what: format!("{what} {}", quotes.join(" and ")),
        mends: mends.to_owned(),
        fix: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "---\ntype: concept\n---\n# Tidal range\n\nThe range is  4 m at the pier.\n\nThe range is 7 m at the pier.\n";

    fn said(text: &str) -> Advice {
        let mut advice = Advice::default();
        let answer =
            Answer { text: text.to_owned(), is_cut: false, model: "m".into(), prompt_tokens: 1, answer_tokens: 1 };
        advice.add(&"concepts/tidal-range".parse().unwrap(), PAGE, &answer);
        advice
    }

    #[test]
    fn what_the_page_says_is_told_with_its_line_and_what_it_does_not_say_is_dropped() {
        let advice = said(
            r#"```json
            {"findings": [
              {"kind": "contradiction", "what": "Two\nheights.", "quotes": ["The range is 4 m at the pier.", "range is 7 m"]},
              {"kind": "contradiction", "what": "One quote.", "quotes": ["The range is 4 m", "The range is 4 m"]},
              {"kind": "contradiction", "what": "Invented.", "quotes": ["The range is 4 m", "The range is 9 m"]},
              {"kind": "opinion", "what": "Dull.", "quotes": ["The range is 4 m"]},
              {"kind": "gap", "what": "When?", "quotes": ["The range is 7 m at the pier."]},
              {"kind": "gap", "what": "Too many.", "quotes": ["The range is 7 m at the pier."]}]}
            ```"#,
        );
        assert_eq!((advice.pages, advice.dropped, advice.unusable), (1, 3, 0));
        let told: Vec<_> = advice.findings.iter().map(|found| (found.kind, found.line, found.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (Kind::Contradiction, Some(6), "Two heights. “The range is 4 m at the pier.” and “range is 7 m”"),
                (Kind::Gap, Some(8), "When? “The range is 7 m at the pier.”"),
            ]
        );
    }

    #[test]
    fn what_is_no_list_of_findings_is_counted() {
        for garbage in ["", "no", "{}", "[]", "{\"findings\": 1}", "{\"findings\": [{}]}"] {
            let advice = said(garbage);
            assert_eq!((advice.unusable, advice.findings.len()), (1, 0), "{garbage}");
        }
        assert_eq!(said("{\"findings\": []}").unusable, 0);
    }

    #[test]
    fn a_page_of_any_length_fits_into_the_smallest_context() {
        let mut settings = LlmSettings::new("http://h/v1".parse().unwrap(), "m");
        settings.context = crate::llm::settings::CONTEXT_TOKENS_MIN;
        let request = asked(&"concepts/x".parse().unwrap(), &"tides ".repeat(99_999), &settings);
        assert!(request.tokens() + settings.answer_tokens_max() <= settings.context, "{}", request.tokens());
    }
}
