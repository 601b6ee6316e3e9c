//! The fields that say which language model is asked, and how much may be spent on it. Owns their bounds and defaults.

use std::time::Duration;

use highwater_engine::settings::{Count, DurationText, HttpUrl, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model reads and writes in one request, in tokens, where nothing else is set: what the smallest local ones do.
pub const CONTEXT_TOKENS: u64 = 8_192;
/// With less there is no room for a document beside what is asked of it.
pub const CONTEXT_TOKENS_MIN: u64 = 4_096;
/// The most tokens of an answer, where nothing else is set.
const ANSWER_TOKENS_MAX: u64 = 8_192;
/// An answer has this part of the context, where nothing else is set.
const ANSWER_PART: u64 = 4;
/// How long an answer is waited for, in minutes, where nothing else is set: a local model takes its time.
const TIMEOUT_MINS: u64 = 5;
/// The highest temperature that endpoints take.
const TEMPERATURE_MAX: f64 = 2.0;

/// A language model behind an endpoint that speaks as OpenAI's does.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LlmSettings {
    /// The endpoint, up to and without `/chat/completions`: `http://127.0.0.1:8080/v1`.
    pub url: HttpUrl,
    /// What the endpoint calls the model.
    pub model: String,
    /// The environment variable that holds the endpoint's key. Absent: none is sent.
    #[serde(default)]
    pub key_env: Option<String>,
    /// What one pass may spend, in tokens of prompts and answers together; it ends as a checkpoint (exit 3) when they are gone. What was
    /// answered once is never asked again and costs nothing. Absent: no limit.
    #[serde(default)]
    pub tokens: Option<Count>,
    /// Whether `tokens` are for all passes of a process together, as those of a command are.
    #[serde(skip)]
    pub is_of_a_call: bool,
    /// How many tokens the model reads and writes in one request. A document that is longer is read in parts.
    #[serde(default = "context")]
    #[schemars(schema_with = "whole", range(min = 4096))]
    pub context: u64,
    /// The most tokens of one answer. Absent: a quarter of `context`, at most 8192.
    #[serde(default)]
    pub max_tokens: Option<Count>,
    /// How freely the model chooses its words.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub temperature: f64,
    /// How long an answer is waited for.
    #[serde(default = "timeout")]
    pub timeout: DurationText,
}

fn context() -> u64 {
    CONTEXT_TOKENS
}

fn whole(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "integer", "title": "whole number"})
}

fn timeout() -> DurationText {
    DurationText::secs(TIMEOUT_MINS * 60)
}

impl LlmSettings {
    /// A model with everything else as it is by default.
    #[must_use]
    pub fn new(url: HttpUrl, model: impl Into<String>) -> Self {
        Self {
            url,
            model: model.into(),
            key_env: None,
            tokens: None,
            is_of_a_call: false,
            context: context(),
            max_tokens: None,
            temperature: 0.0,
            timeout: timeout(),
        }
    }

    /// The most tokens of one answer.
    #[must_use]
    pub fn answer_tokens_max(&self) -> u64 {
        self.max_tokens.map_or((self.context / ANSWER_PART).min(ANSWER_TOKENS_MAX), Count::get)
    }

    /// How long an answer is waited for.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.timeout.get()
    }

    /// What no single field shows.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut say = |field, message, next| problems.push(Problem::new(field, message, next));
        let url = self.url.expose();
        if url.query().is_some() || url.fragment().is_some() {
            say("url", "found a query or a fragment, expected the address alone".to_owned(), "remove it".to_owned());
        }
        if url.path().trim_end_matches('/').ends_with("/chat/completions") {
            let message = "found an address that ends in `/chat/completions`, expected what is before that";
            say("url", message.to_owned(), "leave that part out".to_owned());
        }
        if self.model.trim().is_empty() {
            say("model", "found no name".to_owned(), "name a model that the endpoint has".to_owned());
        }
        if self.key_env.as_ref().is_some_and(|name| !is_variable(name)) {
            // Somebody may have written the key itself.
            let message = "found what is no name of an environment variable";
            say("key-env", message.to_owned(), "name the variable, not the key itself".to_owned());
        }
        if self.context < CONTEXT_TOKENS_MIN {
            let message = format!("found {}, expected at least {CONTEXT_TOKENS_MIN}", self.context);
            say("context", message, "name a model that reads more".to_owned());
        }
        if self.answer_tokens_max() > self.context / 2 {
            let message = format!("found {}, expected at most half of `context`", self.answer_tokens_max());
            say("max-tokens", message, "correct it, or remove it for the default".to_owned());
        }
        if !(0.0..=TEMPERATURE_MAX).contains(&self.temperature) {
            let message = format!("found {}, expected 0 to {TEMPERATURE_MAX}", self.temperature);
            say("temperature", message, "correct it, or remove it for the default".to_owned());
        }
        if self.wait().is_zero() {
            say("timeout", "found no time at all".to_owned(), "correct it, or remove it for the default".to_owned());
        }
        problems
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> LlmSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_address_and_a_name_are_enough() {
        let known = settings(r#"{"url": "http://127.0.0.1:8080/v1", "model": "small"}"#);
        assert_eq!(known, LlmSettings::new("http://127.0.0.1:8080/v1".parse().unwrap(), "small"));
        assert_eq!((known.answer_tokens_max(), known.problems().len()), (2_048, 0));
    }

    #[test]
    fn what_no_field_shows_alone_is_said() {
        let known = settings(
            r#"{"url": "http://h/v1/chat/completions?x=1", "model": " ", "key-env": "sk-abc", "context": 100, "max-tokens": 90,
                "temperature": 3, "timeout": "0s"}"#,
        );
        let fields: Vec<_> = known.problems().into_iter().map(|problem| problem.field.into_owned()).collect();
        assert_eq!(fields, ["url", "url", "model", "key-env", "context", "max-tokens", "temperature", "timeout"]);
    }
}
