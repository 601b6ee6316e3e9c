//! The endpoint: one request is one contact, or two where it does not know a parameter. Owns what goes over the wire and what each answer
//! means; whether to ask is not decided here.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use highwater_engine::contact::client_builder;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::ReadCx;
use highwater_engine::name::ResourceName;
use highwater_engine::settings::SecretText;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url};
use serde_json::{Map, Value, json};

use super::answers::Answer;
use super::fault::{self, Unsaid};
use super::mended::mended;
use super::request::{Form, Request};
use super::settings::LlmSettings;
use super::tokens::{count, estimate};
use crate::page::plain::one_line;

/// The most bytes of an endpoint's answer.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How much of what an endpoint says of a refusal is told, in characters.
const SAID_CHARS_MAX: usize = 300;
/// How often a request is put otherwise because the endpoint does not know a parameter: each of them once, and a schema twice.
const WORDINGS_MAX: u32 = 4;

/// An endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    resource: ResourceName,
    http: Client,
    key: Option<SecretText>,
    timeout: Duration,
    model: String,
    temperature: f64,
    answer_tokens_max: u64,
    knows: Knows,
}

/// What the endpoint was found not to know, for as long as this lives.
#[derive(Debug, Default)]
struct Knows {
    form: AtomicU8,
    max: AtomicU8,
    temperature: AtomicU8,
}

/// How a request is put.
#[derive(Debug, Clone, Copy)]
struct Wording {
    /// 0: `response_format` with a schema; 1: without one; 2: not at all.
    form: u8,
    /// 1: it wants `max_completion_tokens`.
    max: u8,
    /// 1: its temperature is its own.
    temperature: u8,
}

impl Knows {
    fn wording(&self) -> Wording {
        let of = |slot: &AtomicU8| slot.load(Ordering::Relaxed);
        Wording { form: of(&self.form), max: of(&self.max), temperature: of(&self.temperature) }
    }
}

impl Endpoint {
    /// The endpoint of these settings, contacted as this resource.
    ///
    /// # Errors
    /// When no HTTP client can be had.
    pub(super) fn new(
        settings: &LlmSettings,
        key: Option<SecretText>,
        resource: ResourceName,
    ) -> Result<Self, Diagnosis> {
        let http = client_builder().build().map_err(|error| {
            Diagnosis::failure(
                "HW-NET-001",
                format!("the HTTP client cannot start: {}", with_causes(&error)),
                "check the machine's TLS certificates and proxy settings",
            )
        })?;
        let mut url = settings.url.expose().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["chat", "completions"]);
        }
        Ok(Self {
            url,
            resource,
            http,
            key,
            timeout: settings.wait(),
            model: settings.model.clone(),
            temperature: settings.temperature,
            answer_tokens_max: settings.answer_tokens_max(),
            knows: Knows::default(),
        })
    }

    /// Asks, and reads the answer to its end.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub(super) async fn ask(&self, cx: &ReadCx, request: &Request) -> Result<Answer, Unsaid> {
        for _ in 0..=WORDINGS_MAX {
            let wording = self.knows.wording();
            let body = self.body(request, wording).to_string();
            let sent = cx.contacts.send_here(&self.http, &self.resource, |http| {
                let asked = http.post(self.url.clone()).timeout(self.timeout).header(CONTENT_TYPE, "application/json");
                let asked = match &self.key {
                    Some(key) => asked.bearer_auth(key.expose()),
                    None => asked,
                };
                asked.body(body.clone())
            });
            let response = match sent.await? {
                Ok(response) => response,
                // Its address may be a secret beyond the host.
                Err(silent) => {
                    let why = with_causes(&silent.source.without_url());
                    return Err(fault::unanswered(cx, format!("{} did not answer: {why}", self.host())));
                }
            };
            let status = response.status();
            let bytes = self.read(cx, response).await?;
            if status.is_success() {
                return self.answer(cx, request, &bytes);
            }
            let said = self.said(&bytes);
            let refused = fault::refused(status.as_u16(), &said.words, &said.code);
            if !(refused == fault::Refused::Request && self.learns(request, &said, wording)) {
                return Err(refused.told(cx, self.host(), status.as_u16(), &said.words));
            }
        }
        let words = "it refuses one parameter after the other";
        Err(fault::Refused::Request.told(cx, self.host(), 400, words))
    }

    /// Where it is, as people may read it.
    fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn body(&self, request: &Request, wording: Wording) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(self.model));
        body.insert("messages".to_owned(), json!(request.messages));
        body.insert("stream".to_owned(), json!(false));
        let max = match wording.max {
            0 => "max_tokens",
            _ => "max_completion_tokens",
        };
        body.insert(max.to_owned(), json!(self.answer_tokens_max));
        if wording.temperature == 0 {
            body.insert("temperature".to_owned(), json!(self.temperature));
        }
        if let Form::Json { name, schema } = &request.form {
            let form = match wording.form {
                0 => Some(json!({ "type": "json_schema",
                    "json_schema": { "name": name, "strict": true, "schema": schema } })),
                1 => Some(json!({ "type": "json_object" })),
                _ => None,
            };
            body.extend(form.map(|form| ("response_format".to_owned(), form)));
        }
        Value::Object(body)
    }

    /// Whether a refusal says that it does not know a parameter that can be put otherwise; it is from now on.
    fn learns(&self, request: &Request, said: &Said, tried: Wording) -> bool {
        let of = |parameter: &str| said.parameter.starts_with(parameter) || said.words.contains(parameter);
        let (slot, tried, most) = if matches!(request.form, Form::Json { .. }) && of("response_format") {
            (&self.knows.form, tried.form, 2)
        } else if of("max_tokens") || of("max_completion_tokens") {
            (&self.knows.max, tried.max, 1)
        } else if of("temperature") {
            (&self.knows.temperature, tried.temperature, 1)
        } else {
            return false;
        };
        // Another request may have learnt it meanwhile.
        tried < most && {
            slot.fetch_max(tried + 1, Ordering::Relaxed);
            true
        }
    }

    async fn read(&self, cx: &ReadCx, mut response: Response) -> Result<Vec<u8>, Unsaid> {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_BYTES_MAX => bytes.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    let why = format!("{} answers with more than {ANSWER_BYTES_MAX} bytes", self.host());
                    return Err(fault::unwell(cx, why));
                }
                Ok(None) => {
                    cx.contacts.meter().bytes(bytes.len() as u64);
                    return Ok(bytes);
                }
                Err(broke) => {
                    let why = with_causes(&broke.without_url());
                    return Err(fault::unanswered(cx, format!("the answer of {} broke off: {why}", self.host())));
                }
            }
        }
    }

    /// What a completion says. What it was made of besides is nobody's concern here, and what is odd beside the words makes it no other.
    fn answer(&self, cx: &ReadCx, request: &Request, bytes: &[u8]) -> Result<Answer, Unsaid> {
        let other =
            |why: String| fault::unwell(cx, format!("{} answers with what is no chat completion: {why}", self.host()));
        let read = serde_json::from_slice(bytes);
        // What is odd in it does not make it unpaid.
        let read = read.or_else(|error| {
            serde_json::from_str(&mended(&String::from_utf8_lossy(bytes))).map_err(|_| other(error.to_string()))
        });
        let completion: Value = read?;
        let choices = completion["choices"].as_array().ok_or_else(|| other("it has no `choices`".to_owned()))?;
        let choice = choices.first().ok_or_else(|| other("it has no choice".to_owned()))?;
        let message = choice["message"].as_object().ok_or_else(|| other("its choice has no `message`".to_owned()))?;
        let text = match message.get("content") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            // It said why it says nothing: that is what it said.
            _ => message.get("refusal").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        let usage = &completion["usage"];
        Ok(Answer {
            is_cut: choice["finish_reason"].as_str() == Some("length"),
            model: completion["model"].as_str().unwrap_or(&self.model).to_owned(),
            prompt_tokens: count(&usage["prompt_tokens"]).unwrap_or_else(|| request.tokens()),
            answer_tokens: count(&usage["completion_tokens"]).unwrap_or_else(|| estimate(&text)),
            text,
        })
    }

    /// What a refusal says, without the key.
    fn said(&self, bytes: &[u8]) -> Said {
        let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let error = if json["error"].is_null() { &json } else { &json["error"] };
        let word = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let words = word(&error["message"]).or_else(|| word(error)).or_else(|| word(&json["detail"]));
        let mut words = words.unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
        if let Some(key) = &self.key {
            words = words.replace(key.expose(), "***");
        }
        Said {
            words: one_line(&words).chars().take(SAID_CHARS_MAX).collect(),
            parameter: word(&error["param"]).unwrap_or_default(),
            code: word(&error["code"]).or_else(|| word(&error["type"])).unwrap_or_default(),
        }
    }
}

/// What a refusal says.
#[derive(Debug)]
struct Said {
    words: String,
    parameter: String,
    code: String,
}
