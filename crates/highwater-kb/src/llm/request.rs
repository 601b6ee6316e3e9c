//! What a model is asked, and what that is called: the same question, of the same model, with the same parameters, is the same request.
//! Owns that name; where the model is, and with which key, is no part of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::settings::LlmSettings;
use super::tokens::estimate;

/// What the protocol adds to each message, in tokens.
const MESSAGE_TOKENS: u64 = 8;
/// Changes where a request of another version of this program would be another one.
const EDITION: u32 = 1;

/// Whose words a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ours: what is to be done.
    System,
    /// Whoever asks, and what they bring.
    User,
    /// The model's.
    Assistant,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whose.
    pub role: Role,
    /// Its words.
    pub content: String,
}

impl Message {
    /// A message.
    #[must_use]
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Words.
    Words,
    /// JSON of this schema, as far as the endpoint knows schemas.
    Json {
        /// What the schema is called.
        name: &'static str,
        /// The schema.
        schema: Value,
    },
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The messages.
    pub messages: Vec<Message>,
    /// What the answer must look like.
    pub form: Form,
}

impl Request {
    /// About how many tokens it is.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.messages.iter().map(|message| MESSAGE_TOKENS + estimate(&message.content)).sum()
    }

    /// What it is called.
    #[must_use]
    pub fn key(&self, settings: &LlmSettings) -> RequestKey {
        let form = match &self.form {
            Form::Words => Value::Null,
            Form::Json { name, schema } => json!({ "name": name, "schema": schema }),
        };
        let whole = json!({
            "edition": EDITION,
            "endpoint": "chat/completions",
            "model": settings.model,
            "temperature": settings.temperature,
            "max-tokens": settings.answer_tokens_max(),
            "form": form,
            "messages": self.messages,
        });
        RequestKey(blake3::hash(whole.to_string().as_bytes()).into())
    }
}

/// What a request is called: the BLAKE3 of what is asked of which model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestKey([u8; 32]);

/// What names no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no request: expected 64 hexadecimal digits")]
pub struct NoRequestKey(String);

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RequestKey {
    type Err = NoRequestKey;

    fn from_str(text: &str) -> Result<Self, NoRequestKey> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|_| NoRequestKey(text.to_owned()))?;
        Ok(Self(key))
    }
}

impl From<RequestKey> for String {
    fn from(key: RequestKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for RequestKey {
    type Error = NoRequestKey;

    fn try_from(text: String) -> Result<Self, NoRequestKey> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_names_the_request_and_where_it_is_asked_does_not() {
        let settings = LlmSettings::new("http://a/v1".parse().unwrap(), "m");
        let request = Request { messages: vec![Message::new(Role::User, "hello")], form: Form::Words };
        let key = request.key(&settings);
        assert_eq!(key.to_string().parse(), Ok(key));
        let elsewhere =
            LlmSettings { key_env: Some("KEY".into()), ..LlmSettings::new("https://b/v1".parse().unwrap(), "m") };
        assert_eq!(request.key(&elsewhere), key);
        let others = [
            request.key(&LlmSettings { model: "n".into(), ..settings.clone() }),
            request.key(&LlmSettings { temperature: 0.5, ..settings.clone() }),
            request.key(&LlmSettings { context: 65_536, ..settings.clone() }),
            Request { form: Form::Json { name: "x", schema: json!({}) }, ..request.clone() }.key(&settings),
            Request { messages: vec![Message::new(Role::System, "hello")], ..request.clone() }.key(&settings),
        ];
        assert!(others.iter().all(|other| *other != key), "{others:?}");
    }
}
