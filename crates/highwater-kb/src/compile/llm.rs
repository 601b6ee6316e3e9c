//! The compiler that asks a language model. Owns what is asked of which document, in which order, and that nothing comes of an answer that
//! is none: a document is compiled from answers alone, which depend on nothing but the document, so that neither the order nor a kill
//! shows, and no answer is paid for twice.

mod answer;
mod parts;
mod prompt;

use std::sync::Arc;

use highwater_engine::job::ReadCx;

use super::{CompileError, Compiled, Compiler, Source};
use crate::llm::{Model, Request, answers, tokens, words};
use crate::tree;

pub use answer::{BODY_CHARS_MAX, SUMMARY_CHARS_MAX};
pub use parts::PARTS_MAX;

use answer::Read;
use parts::Part;
use prompt::About;

/// What the registry calls it, before the model's name; the number changes where the same model is asked otherwise.
const NAME: &str = "llm/1";
/// How often notes are taken of notes, where a text is very long; what is too long after that is cut.
const LEVELS_MAX: usize = 4;

/// Compiles by asking a model.
#[derive(Debug, Clone)]
pub struct Llm {
    model: Arc<Model>,
}

/// What the model is given of a document.
struct Given {
    text: String,
    /// How many parts it has notes of; 0 where it is the document itself.
    notes: usize,
    /// How many parts of it nobody read.
    unread: usize,
}

impl Llm {
    /// The compiler that asks this model.
    #[must_use]
    pub fn new(model: Arc<Model>) -> Self {
        Self { model }
    }

    async fn read(&self, cx: &ReadCx, request: Request) -> Result<Read, CompileError> {
        let first = self.model.ask(cx, &request).await?;
        let fault = match answer::read(&first) {
            Ok(read) => return Ok(read),
            Err(fault) => fault,
        };
        let again = prompt::again(request, &first.text, &fault.to_string());
        let second = self.model.ask(cx, &again).await?;
        answer::read(&second).map_err(|fault| {
            let (model, said) = (&self.model.settings().model, answers::path(again.key(self.model.settings())));
            CompileError::Review(format!(
                "{model} gave no usable answer, asked twice: {fault}; what it said is in {said}, and it is asked again once that is removed"
            ))
        })
    }

    /// What the model is given: the document, or notes on its parts where it is too long.
    async fn given(&self, cx: &ReadCx, source: &Source<'_>, about: &About<'_>) -> Result<Given, CompileError> {
        let (text, settings) = (source.converted.markdown.as_str(), self.model.settings());
        let room = prompt::room(settings);
        if tokens::estimate(text) <= room {
            return Ok(Given { text: text.to_owned(), notes: 0, unread: 0 });
        }
        let pages = tree::in_order(&source.converted.page_lines);
        let parted = parts::parts(text, source.tree, &pages, room);
        let unread = parted.len().saturating_sub(PARTS_MAX);
        let mut parts: Vec<Part> = parted.into_iter().take(PARTS_MAX).collect();
        let count = parts.len();
        for _ in 0..LEVELS_MAX {
            let all = parts.len();
            for (at, part) in parts.iter_mut().enumerate() {
                let request = prompt::notes(about, &part.place, at + 1, all, &part.text);
                let answer = self.model.ask(cx, &request).await?;
                part.text = words(&answer.text).trim().to_owned();
                if part.text.is_empty() {
                    let model = &settings.model;
                    return Err(CompileError::Review(format!("{model} says nothing of {}", part.place)));
                }
            }
            let grouped = parts::grouped(parts, room);
            if grouped.len() <= 1 || grouped.len() == all {
                parts = grouped;
                break;
            }
            parts = grouped;
        }
        let text = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("\n\n");
        Ok(Given { text: tokens::cut(&text, room).to_owned(), notes: count, unread })
    }
}

impl Compiler for Llm {
    fn name(&self) -> String {
        format!("{NAME} {}", self.model.settings().model)
    }

    async fn compile(&self, cx: &ReadCx, source: Source<'_>) -> Result<Compiled, CompileError> {
        let about = About { name: source.name, pages: source.converted.page_lines.len() };
        let given = self.given(cx, &source, &about).await?;
        let read = self.read(cx, prompt::pages(&about, given.notes, &given.text)).await?;
        let mut compiled = read.compiled(source.tree);
        if given.unread > 0 {
            let told = format!(
                "Only the first {} of {} parts of its text were read for this page.",
                given.notes,
                given.notes + given.unread
            );
            compiled.summary.push_str(&format!("\n\n{told}"));
        }
        Ok(compiled)
    }

    fn told(&self) -> Vec<String> {
        let (paid, model) = (self.model.spent(), &self.model.settings().model);
        (paid > 0).then(|| format!("{model} was paid {paid} tokens")).into_iter().collect()
    }
}
