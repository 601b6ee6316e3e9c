//! A language model's endpoint that answers as the test says, and remembers what it was asked.

use std::collections::BTreeMap;

use highwater_testkit::faulty_http::{Answer, FaultyHttp, Received};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What each answer costs, of what is asked and of what is said.
pub(super) const PAID: (u64, u64) = (100, 50);

/// A question, as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) body: Value,
    pub(super) authorization: Option<String>,
    pub(super) path: String,
}

impl Asked {
    fn of(received: &Received) -> Self {
        Self {
            body: serde_json::from_slice(&received.body).unwrap_or_default(),
            authorization: received.header("authorization").map(ToOwned::to_owned),
            path: received.path.clone(),
        }
    }

    /// The words of all messages.
    pub(super) fn words(&self) -> String {
        let messages = self.body["messages"].as_array().into_iter().flatten();
        messages.filter_map(|message| message["content"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Which document it is about.
    pub(super) fn document(&self) -> String {
        let words = self.words();
        let called = words.split("The document is called ").nth(1).unwrap_or_default();
        called.split(". ").next().unwrap_or_default().split(".\n").next().unwrap_or_default().to_owned()
    }
}

/// The endpoint.
pub(super) struct Endpoint {
    http: FaultyHttp,
    _runtime: Runtime,
}

impl Endpoint {
    pub(super) fn start(mut script: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let http = runtime.block_on(FaultyHttp::start(move |received| script(&Asked::of(received)))).unwrap();
        Self { http, _runtime: runtime }
    }

    /// One that compiles whatever it is given.
    pub(super) fn compiles() -> Self {
        Self::start(|asked| said(&pages(&asked.document())))
    }

    pub(super) fn url(&self) -> String {
        self.http.url("/v1")
    }

    /// What the ledger calls it.
    pub(super) fn resource(&self) -> String {
        format!("llm:{}", self.http.address())
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.http.requests().iter().map(Asked::of).collect()
    }

    /// How often each prompt came.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for asked in self.asked() {
            *counts.entry(asked.body["messages"].to_string()).or_default() += 1;
        }
        counts
    }
}

/// A completion that says this.
pub(super) fn said(text: &str) -> Answer {
    let body = json!({
        "id": "x", "object": "chat.completion", "model": "small-1",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": PAID.0, "completion_tokens": PAID.1, "total_tokens": PAID.0 + PAID.1 },
    });
    Answer::ok(body.to_string()).header("content-type", "application/json")
}

/// What a model says of a document: its own concept, and one that all have.
pub(super) fn pages(name: &str) -> String {
    json!({
        "title": format!("The {name}"), "doc_type": "report", "description": format!("What {name} says."),
        "summary": format!("The model read {name}. It is about the [[Tidal range]]."),
        "concepts": [
            { "name": "Tidal range", "description": "A height.", "body": format!("{name} says how high.") },
            { "name": format!("Idea of {name}"), "description": "An idea.", "body": "It is one." },
        ],
        "entities": [{ "name": "Harbour Office", "description": "An office.", "body": format!("It wrote {name}.") }],
    })
    .to_string()
}
