//! A question to a base: the places that say most of it, and, with a language model, an answer from them. Owns that an answer says only where
//! it is from: what it cites was read for it, what it links is there, and everything else is left out and counted.

mod cited;
mod keep;
mod passages;
mod prompt;

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_engine::job::ReadCx;

use crate::base::{Home, Snapshot};
use crate::error::KbError;
use crate::llm::{Model, Role, Unsaid, tokens};
use crate::page::PageName;

pub use self::keep::{Kept, keep};
pub use self::passages::{PASSAGE_TOKENS_MAX, PASSAGES_MAX, Passage, passages, words};

/// The most bytes of a question.
pub const QUESTION_BYTES_MAX: usize = 16 * 1024;
/// This part of the context is for what was said before.
const BEFORE_PART: u64 = 4;

/// What was asked and answered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// A question that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The question.
    pub question: String,
    /// The answer, in the model's Markdown: what it cites as `[n]` is in `passages`, and its links lead somewhere.
    pub text: String,
    /// What was read for it, the best first; `[1]` is the first.
    pub passages: Vec<Passage>,
    /// Which of them it cites.
    pub cited: BTreeSet<u32>,
    /// Pages that it links besides.
    pub linked: BTreeSet<PageName>,
    /// How many citations and links led nowhere, and were left out.
    pub dropped: u32,
    /// Whether it was cut off at the most tokens that an answer may have.
    pub is_cut: bool,
    /// The model.
    pub model: String,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The base cannot be read.
    #[error(transparent)]
    Base(#[from] KbError),
    /// The model said nothing.
    #[error(transparent)]
    Unsaid(#[from] Unsaid),
    /// What the model said is no answer.
    #[error("the model {0} answered with nothing")]
    Nothing(String),
    /// This program has a mistake.
    #[error("a search of the base broke off: {0}")]
    Broke(String),
}

/// Asks a model, which is given what the base says of it. `None` where the base says nothing of it; nobody is asked then.
///
/// # Errors
/// [`QueryError`].
pub async fn answer(
    model: &Model,
    cx: &ReadCx,
    home: &Arc<dyn Home>,
    question: &str,
    before: &[Before],
) -> Result<Option<Answered>, QueryError> {
    let settings = model.settings();
    let question = tokens::cut(question.trim(), settings.context / BEFORE_PART).to_owned();
    let before = prompt::lately(before, settings.context / BEFORE_PART);
    let room = prompt::room(settings, &question, &before);
    // What a question leaves unsaid, the one before it said.
    let searched = match before.last() {
        Some(last) => format!("{question} {}", last.question),
        None => question.clone(),
    };
    let base = Arc::clone(home);
    let found = on_disk(move || passages(&Snapshot::open(base)?, &searched, room)).await??;
    if found.is_empty() {
        return Ok(None);
    }
    let request = prompt::asked(&question, &before, &found);
    let said = model.ask(cx, &request).await?;
    let base = Arc::clone(home);
    let words = crate::llm::words(&said.text).to_owned();
    let checked = on_disk(move || {
        let snapshot = Snapshot::open(base)?;
        let checked = cited::checked(&words, found.len(), |page| snapshot.has(page))?;
        Ok::<_, KbError>((checked, found))
    });
    let (checked, passages) = checked.await??;
    if checked.text.trim().is_empty() {
        return Err(QueryError::Nothing(settings.model.clone()));
    }
    Ok(Some(Answered {
        question,
        text: checked.text,
        passages,
        cited: checked.cited,
        linked: checked.linked,
        dropped: checked.dropped,
        is_cut: said.is_cut,
        model: settings.model.clone(),
    }))
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, QueryError> {
    tokio::task::spawn_blocking(work).await.map_err(|broke| QueryError::Broke(broke.to_string()))
}

/// Who says a message of a conversation.
fn turns(before: &[Before]) -> impl Iterator<Item = (Role, &str)> {
    before.iter().flat_map(|turn| [(Role::User, turn.question.as_str()), (Role::Assistant, turn.answer.as_str())])
}
