//! The receiver's API as an OpenAPI document, at `/openapi.json` and in docs/. Owns which answers each request may have; what the answers
//! look like is in [`parts`]. The tests hold every answer that they get against it.
//!
//! # Source
//! OpenAPI Specification 3.1.

mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use self::parts::{OK_TEXT, Part};
use super::Receiver;
use super::problem::known::{self, Known};
use super::settings::ReceiverSettings;
use crate::wire::{EPISODE_MEDIA_TYPE, PROBLEM_MEDIA_TYPE, TUS_MEDIA_TYPE};

/// Which version of the specification the document is of.
const OPENAPI_VERSION: &str = "3.1.0";
/// Which version of the API it tells of.
const API_VERSION: &str = "1";

/// Whatever is asked.
const ALWAYS: &[&Known] = &[&known::BAD_HOST];
/// Who calls.
const CALLER: &[&Known] = &[&known::BAD_AUTHORIZATION, &known::NO_IDENTITY, &known::BUG];
/// What it is called, and whose it is.
const NAMES: &[&Known] = &[&known::BAD_NAME, &known::FOREIGN_HOST];
/// Which code recorded it.
const GATE: &[&Known] = &[
    &known::BAD_JUDGE,
    &known::BAD_RECORDED_COMMIT,
    &known::CODE_MISSING,
    &known::CODE_MALFORMED,
    &known::CODE_OUTDATED,
    &known::GATE_UNREADY,
];
/// What its headers say of a body.
const BODY: &[&Known] =
    &[&known::BAD_DIGEST_FIELD, &known::BAD_LENGTH, &known::PARTIAL_PUT, &known::CONTENT_ENCODING, &known::TOO_LARGE];
/// What keeps a body from being taken in.
const TAKEN_IN: &[&Known] = &[&known::BROKEN_BODY, &known::TOO_SLOW];
/// What a disk may say.
const DISK: &[&Known] = &[
    &known::STORAGE,
    &known::PLACE_TAKEN,
    &known::PLACE_UNREADABLE,
    &known::OTHER_DISK,
    &known::FILE_LIMIT,
    &known::DISK_FULL,
    &known::BUSY,
    &known::NOT_READY,
];
/// What may be under its name already.
const PLACED: &[&Known] = &[&known::WRONG_DIGEST, &known::CONFLICT, &known::WITHDRAWN];
/// That uploads may go on.
const RESUMABLE: &[&Known] = &[&known::TUS_VERSION, &known::NOT_RESUMABLE];
/// That one of them is there for the caller.
const FOUND: &[&Known] =
    &[&known::NO_SUCH_UPLOAD, &known::UPLOAD_EXPIRED, &known::UPLOAD_HELD, &known::BAD_NAME, &known::FOREIGN_HOST];

/// What may be asked at an address.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Anybody may ask.
    is_open: bool,
    parameters: &'static [&'static str],
    /// The media type of its body.
    body: Option<&'static str>,
    /// A status, what its body is, and the headers that go with it.
    answers: &'static [(u16, Part, &'static [&'static str])],
    problems: &'static [&'static [&'static Known]],
}

const NONE: Operation = Operation {
    path: "",
    method: "get",
    id: "",
    summary: "",
    is_open: false,
    parameters: &[],
    body: None,
    answers: &[],
    problems: &[],
};

/// What is said of tus, whoever asks.
const OFFERED: &[(u16, Part, &[&str])] = &[(
    204,
    Part::Nothing,
    &["Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"],
)];

const EPISODE: &str = "/v1/episodes/{host}/{episode}";
const UPLOADS: &str = "/v1/uploads";
const UPLOAD: &str = "/v1/uploads/{upload}";

const OPERATIONS: &[Operation] = &[
    Operation {
        path: EPISODE,
        method: "put",
        id: "putEpisode",
        summary: "Stores an episode. 201 and 200 mean that its bytes and its row would survive a power cut.",
        parameters: &[
            "host",
            "episode",
            "digest",
            "content",
            "commit",
            "judge",
            "recorded",
            "content-digest",
            "repr-digest",
        ],
        body: Some(EPISODE_MEDIA_TYPE),
        answers: &[(201, Part::Schema("Stored"), &["Location"]), (200, Part::Schema("Stored"), &["Location"])],
        problems: &[CALLER, NAMES, GATE, BODY, DISK, TAKEN_IN, PLACED],
        ..NONE
    },
    Operation {
        path: EPISODE,
        id: "getEpisode",
        summary: "The archive as it is stored, whole or one range of it.",
        parameters: &["host", "episode", "range"],
        answers: &[
            (
                200,
                Part::Bytes(EPISODE_MEDIA_TYPE),
                &["Accept-Ranges", "ETag?", "Repr-Digest?", "x-episode-content-sha256?"],
            ),
            (
                206,
                Part::Bytes(EPISODE_MEDIA_TYPE),
                &["Accept-Ranges", "Content-Range", "ETag?", "Repr-Digest?", "x-episode-content-sha256?"],
            ),
        ],
        problems: &[CALLER, NAMES, &[&known::NO_SUCH_EPISODE, &known::IS_WITHDRAWN, &known::NO_SUCH_RANGE], DISK],
        ..NONE
    },
    Operation {
        path: EPISODE,
        method: "head",
        id: "headEpisode",
        summary: "What GET would say of the archive, without it. By `x-episode-verify` of the archive as it is read for this answer, which \
                  `x-episode-verified` says then; 409 where it is not what was received, and 410 also where the name of a withdrawn one is free.",
        parameters: &["host", "episode", "range", "verify"],
        answers: &[
            (
                200,
                Part::Nothing,
                &["Accept-Ranges", "ETag?", "Repr-Digest?", "x-episode-content-sha256?", "x-episode-verified?"],
            ),
            (
                206,
                Part::Nothing,
                &["Accept-Ranges", "Content-Range", "ETag?", "Repr-Digest?", "x-episode-content-sha256?"],
            ),
        ],
        problems: &[
            CALLER,
            NAMES,
            &[&known::NO_SUCH_EPISODE, &known::IS_WITHDRAWN, &known::DAMAGED, &known::NO_SUCH_RANGE],
            DISK,
        ],
        ..NONE
    },
    Operation {
        path: "/v1/episodes",
        id: "listEpisodes",
        summary: "The rows in force in the order in which they came, a page at a time; those of the caller's hosts. A page may be empty and \
                  not the last: go on with `next` until `complete`. A `next` holds as long as the index is only appended to: 410 says that it was \
                  written anew, so that a list begins anew.",
        parameters: &["of-host", "since", "cursor"],
        answers: &[(200, Part::Schema("Page"), &[])],
        problems: &[
            CALLER,
            &[&known::BAD_QUERY, &known::FOREIGN_HOST, &known::CURSOR_OUTDATED, &known::INDEX_EDITED],
            DISK,
        ],
        ..NONE
    },
    Operation {
        path: UPLOADS,
        method: "options",
        id: "uploadOptions",
        summary: "What of tus is offered.",
        is_open: true,
        answers: OFFERED,
        ..NONE
    },
    Operation {
        path: UPLOADS,
        method: "post",
        id: "beginUpload",
        summary: "Begins an upload that goes on after a break. `Upload-Offset` at the end says that the episode is there already.",
        parameters: &["tus", "length", "metadata", "digest", "content", "commit", "judge", "recorded", "repr-digest"],
        answers: &[(201, Part::Nothing, &["Tus-Resumable", "Location", "Upload-Offset", "Upload-Expires"])],
        problems: &[
            CALLER,
            RESUMABLE,
            NAMES,
            &[&known::BAD_UPLOAD_METADATA, &known::BAD_UPLOAD_FIELD],
            GATE,
            BODY,
            DISK,
            PLACED,
        ],
        ..NONE
    },
    Operation {
        path: UPLOAD,
        method: "options",
        id: "oneUploadOptions",
        summary: "What of tus is offered.",
        is_open: true,
        parameters: &["any-upload"],
        answers: OFFERED,
        ..NONE
    },
    Operation {
        path: UPLOAD,
        method: "head",
        id: "headUpload",
        summary: "How much of an upload is on the disk.",
        parameters: &["upload", "tus"],
        answers: &[(
            200,
            Part::Nothing,
            &["Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Expires", "Upload-Metadata?"],
        )],
        problems: &[CALLER, RESUMABLE, FOUND, GATE, DISK, PLACED],
        ..NONE
    },
    Operation {
        path: UPLOAD,
        method: "patch",
        id: "patchUpload",
        summary: "Goes on with an upload. The answer to its last bytes is that of a PUT: 204 means stored.",
        parameters: &["upload", "tus", "offset", "checksum"],
        body: Some(TUS_MEDIA_TYPE),
        answers: &[(204, Part::Nothing, &["Tus-Resumable", "Upload-Offset", "Upload-Expires"])],
        problems: &[
            CALLER,
            RESUMABLE,
            FOUND,
            &[
                &known::CONTENT_TYPE,
                &known::BAD_UPLOAD_FIELD,
                &known::BAD_LENGTH,
                &known::WRONG_OFFSET,
                &known::BEYOND_LENGTH,
                &known::CHECKSUM_MISMATCH,
                &known::UPLOAD_TAKEN,
            ],
            GATE,
            DISK,
            TAKEN_IN,
            PLACED,
        ],
        ..NONE
    },
    Operation {
        path: UPLOAD,
        method: "delete",
        id: "endUpload",
        summary: "Gives an upload up; what is stored stays.",
        parameters: &["upload", "tus"],
        answers: &[(204, Part::Nothing, &["Tus-Resumable"])],
        problems: &[CALLER, RESUMABLE, FOUND, DISK],
        ..NONE
    },
    Operation {
        path: "/v1/ping",
        method: "post",
        id: "ping",
        summary: "Who the caller is and what an upload would meet; writes nothing.",
        parameters: &["commit", "judge"],
        answers: &[(200, Part::Schema("Pong"), &[])],
        problems: &[CALLER, &[&known::BAD_JUDGE, &known::BAD_RECORDED_COMMIT, &known::CODE_MALFORMED], DISK],
        ..NONE
    },
    Operation {
        path: "/healthz",
        id: "health",
        summary: "That it runs.",
        is_open: true,
        answers: &[(200, Part::Bytes(OK_TEXT), &[])],
        ..NONE
    },
    Operation {
        path: "/readyz",
        id: "ready",
        summary: "That it would take an upload.",
        is_open: true,
        answers: &[(200, Part::Bytes(OK_TEXT), &[])],
        problems: &[&[&known::NOT_READY, &known::BUG]],
        ..NONE
    },
    Operation {
        path: "/metrics",
        id: "metrics",
        summary: "Figures in the text format of Prometheus.",
        is_open: true,
        answers: &[(200, Part::Bytes(OK_TEXT), &[])],
        ..NONE
    },
    Operation {
        path: "/openapi.json",
        id: "openapi",
        summary: "This document.",
        is_open: true,
        answers: &[(200, Part::Schema("Document"), &[])],
        ..NONE
    },
];

/// The document of a receiver of these settings, which name two of its headers.
#[must_use]
pub fn openapi(settings: &ReceiverSettings) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.told();
    }
    json!({
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "highwater receiver",
            "version": API_VERSION,
            "description": "Takes finished episodes from lab hosts, stores and indexes them. What is refused is told as problem details \
                (RFC 9457) with a `code`, and `remediation` where a person can mend it. A head that is no HTTP is answered 400 or 431 without \
                a body.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": parts::components(settings),
    })
}

pub(super) async fn show(State(receiver): State<Arc<Receiver>>) -> Response {
    let mut response = format!("{}\n", openapi(&receiver.settings)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Operation {
    fn told(&self) -> Value {
        let mut told = json!({ "operationId": self.id, "summary": self.summary });
        if self.is_open {
            told["security"] = json!([]);
        }
        if !self.parameters.is_empty() {
            let parameter = |name: &&str| json!({ "$ref": format!("#/components/parameters/{name}") });
            told["parameters"] = self.parameters.iter().map(parameter).collect();
        }
        if let Some(kind) = self.body {
            told["requestBody"] = json!({ "required": true, "content": { kind: {} } });
        }
        told["responses"] = self.responses();
        told
    }

    fn responses(&self) -> Value {
        let mut responses = BTreeMap::new();
        for (status, part, headers) in self.answers {
            let mut response = json!({ "description": parts::answer(*status) });
            if !headers.is_empty() {
                // One with a question mark may be missing.
                let header = |name: &&str| (name.trim_end_matches('?').to_owned(), parts::header(name));
                response["headers"] = Value::Object(headers.iter().map(header).collect());
            }
            match part {
                Part::Nothing => {}
                Part::Bytes(kind) => response["content"] = json!({ *kind: {} }),
                Part::Schema(name) => {
                    response["content"] = json!({ "application/json": { "schema": parts::schema(name) } })
                }
            }
            responses.insert(*status, response);
        }
        let mut problems: BTreeMap<u16, Vec<&Known>> = BTreeMap::new();
        for problem in self.problems.iter().chain(&[ALWAYS]).copied().flatten().copied() {
            let same = problems.entry(problem.status).or_default();
            if !same.contains(&problem) {
                same.push(problem);
            }
        }
        for (status, same) in problems {
            responses.insert(status, self.refusal(status, &same));
        }
        responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect::<Map<_, _>>().into()
    }

    fn refusal(&self, status: u16, problems: &[&Known]) -> Value {
        let sentences: Vec<_> = problems.iter().map(|known| format!("`{}`: {}.", known.code, known.title)).collect();
        let mut response = json!({ "description": sentences.join(" ") });
        let headers = parts::headers_of_problem(status);
        if !headers.is_empty() {
            let header = |name: &&str| (name.trim_end_matches('?').to_owned(), parts::header(name));
            response["headers"] = Value::Object(headers.iter().map(header).collect());
        }
        if self.method != "head" {
            let codes: Vec<_> = problems.iter().map(|known| known.code).collect();
            let schema = json!({
                "allOf": [parts::schema("Problem")],
                "properties": { "status": { "const": status }, "code": { "enum": codes } },
            });
            response["content"] = json!({ PROBLEM_MEDIA_TYPE: { "schema": schema } });
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_in_the_document_or_belongs_to_no_operation() {
        // What has no address or no such method is the answer to what the document does not have.
        let elsewhere = [&known::NO_SUCH_ADDRESS, &known::NO_SUCH_METHOD];
        for problem in known::ALL {
            let told = OPERATIONS.iter().flat_map(|operation| operation.problems).copied().flatten();
            assert!(told.chain(ALWAYS).chain(&elsewhere).any(|told| *told == problem), "{}", problem.code);
        }
    }

    #[test]
    fn what_the_document_refers_to_is_in_it() {
        let document = openapi(&ReceiverSettings::default());
        let text = document.to_string();
        let refers: Vec<_> = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(refers.len() > 50, "{}", refers.len());
        for place in refers {
            assert!(document.pointer(place).is_some(), "{place}");
        }
        let ids: std::collections::BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len());
    }
}
