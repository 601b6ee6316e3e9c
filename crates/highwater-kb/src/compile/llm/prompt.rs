//! What a model is asked of a document. Owns the words, and how much room they leave for it.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::compile::{CONCEPTS_MAX, ENTITIES_MAX};
use crate::document::DocName;
use crate::llm::{Form, LlmSettings, MATERIAL, Message, Request, Role, between, tokens};

/// Tokens that are kept free beside what is asked and what is given: for names, lines and marks.
const SPARE_TOKENS: u64 = 200;
/// Tokens that are kept free for an answer that was none, when it is asked for again.
const AGAIN_TOKENS: u64 = 300;
/// With less room than this nothing is given.
const ROOM_TOKENS_MIN: u64 = 512;
/// The most words of notes on a part.
const NOTES_WORDS_MAX: usize = 300;

/// What is asked of every document.
static PAGES: LazyLock<String> = LazyLock::new(|| {
    include_str!("pages.txt")
        .replace("CONCEPTS_MAX", &CONCEPTS_MAX.to_string())
        .replace("ENTITIES_MAX", &ENTITIES_MAX.to_string())
});
/// What is asked of a part of one.
static NOTES: LazyLock<String> =
    LazyLock::new(|| include_str!("notes.txt").replace("NOTES_WORDS_MAX", &NOTES_WORDS_MAX.to_string()));

/// What the model is told of a document besides its text.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) name: &'a DocName,
    /// How many pages it has; 0 where it has none.
    pub(super) pages: usize,
}

impl About<'_> {
    fn told(&self) -> String {
        let pages = match self.pages {
            0 => String::new(),
            1 => " It has 1 page.".to_owned(),
            pages => format!(" It has {pages} pages."),
        };
        format!("The document is called {}.{pages}", self.name)
    }
}

/// How many tokens of a document a request has room for.
pub(super) fn room(settings: &LlmSettings) -> u64 {
    let asked = tokens::estimate(&PAGES).max(tokens::estimate(&NOTES)) + tokens::estimate(MATERIAL);
    let taken = settings.answer_tokens_max() + asked + SPARE_TOKENS + AGAIN_TOKENS;
    settings.context.saturating_sub(taken).max(ROOM_TOKENS_MIN)
}

/// The pages of a document, from its text or from notes on so many parts.
pub(super) fn pages(about: &About<'_>, notes: usize, text: &str) -> Request {
    let told = match notes {
        0 => about.told(),
        notes => format!(
            "{} It is too long to be read at once: what follows are notes on its {notes} parts, in their order.",
            about.told()
        ),
    };
    let messages = vec![
        Message::new(Role::System, format!("{}\n{MATERIAL}", *PAGES)),
        Message::new(Role::User, format!("{told}\n\n{}", between(text))),
    ];
    Request { messages, form: Form::Json { name: "pages", schema: schema() } }
}

/// Notes on a part of a document.
pub(super) fn notes(about: &About<'_>, place: &str, part: usize, of: usize, text: &str) -> Request {
    let told = format!("{} This is part {part} of {of}: {place}.", about.told());
    let messages = vec![
        Message::new(Role::System, format!("{}\n{MATERIAL}", *NOTES)),
        Message::new(Role::User, format!("{told}\n\n{}", between(text))),
    ];
    Request { messages, form: Form::Words }
}

/// The same once more, after an answer that was none.
pub(super) fn again(request: Request, said: &str, fault: &str) -> Request {
    let Request { mut messages, form } = request;
    let said = tokens::cut(said, AGAIN_TOKENS / 2);
    messages.push(Message::new(Role::Assistant, if said.is_empty() { "…" } else { said }));
    let fault = tokens::cut(fault, AGAIN_TOKENS / 2);
    messages.push(Message::new(
        Role::User,
        format!("That cannot be used: {fault}. Answer again, with the JSON object alone, whole and shorter."),
    ));
    Request { messages, form }
}

fn schema() -> Value {
    let text = || json!({ "type": "string" });
    let object = |properties: Value| {
        let names: Vec<&String> = properties.as_object().into_iter().flatten().map(|(name, _)| name).collect();
        json!({ "type": "object", "additionalProperties": false, "required": names, "properties": properties })
    };
    let said = object(json!({ "name": text(), "description": text(), "body": text() }));
    let list = json!({ "type": "array", "items": said });
    object(json!({
        "title": text(), "doc_type": text(), "description": text(), "summary": text(), "concepts": list, "entities": list,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_fits_into_the_smallest_context() {
        let mut settings = LlmSettings::new("http://h/v1".parse().unwrap(), "m");
        for context in [crate::llm::settings::CONTEXT_TOKENS_MIN, 8_192, 131_072] {
            settings.context = context;
            let name = DocName::of_stem(&"long name ".repeat(20));
            let about = About { name: &name, pages: 12_345 };
            let text = "tides ".repeat(usize::try_from(context).unwrap());
            let text = tokens::cut(&text, room(&settings));
            let answer_tokens = settings.answer_tokens_max();
            let first = pages(&about, 100, text);
            assert!(first.tokens() + answer_tokens <= context, "{} of {context}", first.tokens());
            let again = again(first, &"x".repeat(9_999), &"y".repeat(9_999));
            assert!(again.tokens() + answer_tokens <= context, "{} of {context}", again.tokens());
            let notes = notes(&about, "lines 1 to 99,999, pages 1 to 12,345", 99, 100, text);
            assert!(notes.tokens() + answer_tokens <= context);
        }
    }

    #[test]
    fn every_field_of_the_schema_is_required_as_strict_endpoints_want_it() {
        let schema = schema();
        assert_eq!(schema["required"].as_array().unwrap().len(), 6);
        assert_eq!(schema["properties"]["concepts"]["items"]["required"].as_array().unwrap().len(), 3);
    }
}
