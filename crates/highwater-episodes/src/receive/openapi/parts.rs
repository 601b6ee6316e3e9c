//! What requests and answers are made of: headers, parameters, bodies. Owns their shapes; that of a row is made from its type.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::index::Row;
use crate::name::NAME_PATTERN;
use crate::receive::settings::ReceiverSettings;
use crate::receive::{CONTENT_HEADER, JUDGE_HEADER, METADATA_BYTES_MAX, RECORDED_HEADER};
use crate::wire::{
    READ, TUS_RESUMABLE_HEADER, TUS_VERSION, UPLOAD_LENGTH_HEADER, UPLOAD_METADATA_HEADER, UPLOAD_OFFSET_HEADER,
    VERIFIED_HEADER, VERIFY_HEADER,
};

/// The media type of text.
pub(super) const OK_TEXT: &str = "text/plain";
/// 64 hexadecimal digits.
const SHA256_PATTERN: &str = "^[0-9A-Fa-f]{64}$";
/// A dictionary with a byte sequence, as RFC 9530 has it: how we write it.
const DIGEST_PATTERN: &str = "^sha-256=:[A-Za-z0-9+/]{43}=:$";
/// The same as it is read: a `sha-256`, and others beside it.
const DIGESTS_PATTERN: &str = "^(.*,)?[ \\t]*sha-256=:[A-Za-z0-9+/]{43}=:(;.*|[ \\t]*(,.*)?)$";
/// What is said of it.
const DIGESTS: &str = "The SHA-256 of the bytes (RFC 9530). Other algorithms beside it are passed over; alone, they are refused unless another header \
                       gives the SHA-256.";
/// A checksum as tus has it.
const CHECKSUM_PATTERN: &str = "^(sha1 [A-Za-z0-9+/]{27}=|sha256 [A-Za-z0-9+/]{43}=)$";
/// Keys with values in base64, between them commas.
const METADATA_PATTERN: &str = "^[!-+.-~-]+( [A-Za-z0-9+/]*={0,2})?(,[!-+.-~-]+( [A-Za-z0-9+/]*={0,2})?)*$";
/// The name of an upload.
const UPLOAD_PATTERN: &str = "^[0-9a-f]{32}$";

/// What the body of an answer is.
pub(super) enum Part {
    /// There is none.
    Nothing,
    /// Bytes of this media type.
    Bytes(&'static str),
    /// JSON of this schema.
    Schema(&'static str),
}

/// What an answer that is no refusal says.
pub(super) fn answer(status: u16) -> &'static str {
    match status {
        201 => "It is there now.",
        204 => "Done.",
        206 => "The range that was asked for.",
        _ => "As it is asked for.",
    }
}

/// The headers of refusals of a status.
pub(super) fn headers_of_problem(status: u16) -> &'static [&'static str] {
    match status {
        401 => &["WWW-Authenticate"],
        423 | 503 => &["Retry-After?"],
        507 => &["Retry-After"],
        409 => &["Upload-Offset?"],
        410 => &["ETag?", "Repr-Digest?", "x-episode-content-sha256?"],
        412 => &["Tus-Version?"],
        413 => &["Tus-Max-Size?"],
        _ => &[],
    }
}

/// A header of an answer; one with a question mark may be missing.
pub(super) fn header(name: &str) -> Value {
    let known = name.trim_end_matches('?');
    json!({ "$ref": format!("#/components/headers/{}{}", known, if known == name { "" } else { "-maybe" }) })
}

/// A schema by its name.
pub(super) fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Everything that is referred to.
pub(super) fn components(settings: &ReceiverSettings) -> Value {
    json!({
        "securitySchemes": {
            "token": { "type": "http", "scheme": "bearer", "description": "A token of `[[receiver.tokens]]`." },
            "certificate": { "type": "mutualTLS", "description": "A client certificate, where the receiver has `client-ca`." },
        },
        "parameters": parameters(settings.commit_header.as_str(), settings.digest_header.as_str()),
        "headers": headers(),
        "schemas": schemas(),
    })
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX })
}

fn parameters(commit_header: &str, digest_header: &str) -> Value {
    let parameter = |name: &str, place: &str, required: bool, schema: Value, description: &str| json!({ "name": name, "in": place, "required": required, "schema": schema, "description": description });
    let header = |name: &str, schema, description| parameter(name, "header", false, schema, description);
    let must = |name: &str, schema, description| parameter(name, "header", true, schema, description);
    json!({
        "host": parameter("host", "path", true, text(NAME_PATTERN), "Who recorded it."),
        "episode": parameter("episode", "path", true, text(NAME_PATTERN), "Which of its host's it is."),
        "upload": parameter("upload", "path", true, text(UPLOAD_PATTERN), "The end of the `Location` that POST answered."),
        "any-upload": parameter("upload", "path", true, json!({ "type": "string" }), "Any: the answer is the same for all."),
        "of-host": parameter("host", "query", false, text(NAME_PATTERN), "Only of this host."),
        "since": parameter("since", "query", false, json!({ "type": "string", "format": "date-time" }), "Received then or later."),
        "cursor": parameter("cursor", "query", false, json!({ "type": "string", "pattern": "^[0-9]{1,18}(-[0-9a-f]{16})?$" }), "The `next` of a page."),
        "range": header("Range", json!({ "type": "string" }), "One range of bytes, such as `bytes=100-`; anything else is not obeyed."),
        "digest": header(digest_header, text(SHA256_PATTERN), "The SHA-256 of the bytes."),
        "content-digest": header("Content-Digest", text(DIGESTS_PATTERN), DIGESTS),
        "repr-digest": header("Repr-Digest", text(DIGESTS_PATTERN), DIGESTS),
        "verify": header(VERIFY_HEADER, json!({ "type": "string" }), "`read`: the episode is to be read before it is described, however long that takes."),
        "content": header(CONTENT_HEADER, text(SHA256_PATTERN), "The SHA-256 of what the episode holds."),
        "commit": header(commit_header, json!({ "type": "string" }), "The commit of the code, in 40 or 64 hexadecimal digits: what the gate judges. Without a gate nobody is refused for it."),
        "judge": header(JUDGE_HEADER, json!({ "type": "string", "enum": ["recorded", "ships"] }), "Whose commit that is: of the code that recorded the episode, or of that which ships it."),
        "recorded": header(RECORDED_HEADER, json!({ "type": "string" }), "The commit that recorded the episode, where the other is judged: 40 or 64 hexadecimal digits."),
        "tus": must(TUS_RESUMABLE_HEADER, json!({ "type": "string", "const": TUS_VERSION }), "The version of tus."),
        "length": must(UPLOAD_LENGTH_HEADER, number(), "How many bytes there will be."),
        "offset": must(UPLOAD_OFFSET_HEADER, number(), "From which byte on."),
        "metadata": must(UPLOAD_METADATA_HEADER, json!({ "type": "string", "maxLength": METADATA_BYTES_MAX, "pattern": METADATA_PATTERN }), "`host` and `episode`, in base64; also `sha256`, `content-sha256`, `commit`, `judge`, `recorded-commit`."),
        "checksum": header("upload-checksum", text(CHECKSUM_PATTERN), "The digest of this request's bytes."),
    })
}

fn headers() -> Value {
    let any = || json!({ "type": "string" });
    let known = [
        ("Location", text("^/v1/"), "Where it is."),
        ("Accept-Ranges", json!({ "const": "bytes" }), "That ranges are obeyed."),
        ("Content-Range", text("^bytes [0-9]+-[0-9]+/[0-9]+$"), "Which bytes these are."),
        ("ETag", text("^\"[0-9a-f]{64}\"$"), "The SHA-256 of the bytes."),
        ("Repr-Digest", text(DIGEST_PATTERN), "The SHA-256 of the bytes."),
        (CONTENT_HEADER, text(SHA256_PATTERN), "The SHA-256 of what the episode holds."),
        (
            VERIFIED_HEADER,
            json!({ "const": READ }),
            "That the episode was read for this answer, and is what its digests here say.",
        ),
        ("Tus-Resumable", json!({ "type": "string", "const": TUS_VERSION }), "The version of tus."),
        ("Tus-Version", any(), "The versions of tus."),
        ("Tus-Extension", any(), "What is offered beyond its core."),
        ("Tus-Max-Size", number(), "How large an episode may be."),
        ("Tus-Checksum-Algorithm", any(), "The digests of `upload-checksum`."),
        ("Upload-Offset", number(), "How much of it is on the disk."),
        ("Upload-Length", number(), "How much there will be."),
        ("Upload-Expires", any(), "Until when it may go on."),
        ("Upload-Metadata", any(), "As it was sent."),
        ("WWW-Authenticate", any(), "What would do."),
        ("Retry-After", number(), "When to come again, in seconds."),
    ];
    let mut headers = Map::new();
    for (name, schema, description) in known {
        for (suffix, required) in [("", true), ("-maybe", false)] {
            let header = json!({ "description": description, "required": required, "schema": schema });
            headers.insert(format!("{name}{suffix}"), header);
        }
    }
    headers.into()
}

fn schemas() -> Value {
    let mut made =
        SchemaGenerator::new(SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true));
    let mut row = made.root_schema_for::<Row>().to_value();
    // It is one of many in the document.
    row.as_object_mut().map(|row| row.remove("$schema"));
    let sha256 = || text("^[0-9a-f]{64}$");
    let gate = json!({
        "type": "object",
        "required": ["verdict", "judges"],
        "properties": {
            "verdict": { "enum": ["accepted", "missing", "malformed", "outdated", "unready"] },
            "judges": { "type": "array", "items": { "enum": ["recorded", "ships"] } },
        },
    });
    json!({
        "Row": row,
        "Page": {
            "type": "object",
            "required": ["episodes", "next", "complete"],
            "properties": {
                "episodes": { "type": "array", "items": schema("Row") },
                "next": { "type": "string", "description": "Where the next page begins." },
                "complete": { "type": "boolean", "description": "Nothing lies beyond it now." },
            },
        },
        "Stored": {
            "type": "object",
            "required": ["host_id", "episode_id", "sha256", "content_sha256", "size_bytes", "stored", "repaired"],
            "properties": {
                "host_id": text(NAME_PATTERN),
                "episode_id": text(NAME_PATTERN),
                "sha256": sha256(),
                "content_sha256": { "anyOf": [sha256(), { "type": "null" }] },
                "size_bytes": number(),
                "stored": { "type": "boolean", "description": "By this request." },
                "repaired": { "type": "boolean", "description": "It was there, and its row was not; or it was there damaged, or lost, and is whole now." },
            },
        },
        "Pong": {
            "type": "object",
            "required": ["receiver", "version", "you", "hosts", "clock", "gate", "headers", "limits"],
            "properties": {
                "receiver": { "const": "highwater" },
                "version": { "type": "string" },
                "you": { "type": "string" },
                "hosts": { "anyOf": [{ "const": "*" }, { "type": "array", "items": { "type": "string" } }] },
                "clock": { "type": "string", "format": "date-time" },
                "gate": gate,
                "headers": { "type": "object", "required": ["commit", "digest", "content"], "additionalProperties": { "type": "string" } },
                "limits": { "type": "object", "required": ["size_bytes", "idle_secs", "upload_secs"], "additionalProperties": number() },
            },
        },
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "code"],
            "properties": {
                "type": { "type": "string", "format": "uri" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "code": { "type": "string" },
                "detail": { "type": "string", "description": "What is wrong in this case." },
                "remediation": { "type": "string", "description": "What a person does about it." },
                "your_commit": { "type": "string" },
                "head_commit": { "type": "string" },
                "sha256": sha256(),
                "declared_sha256": sha256(),
                "stored_sha256": sha256(),
                "content_sha256": sha256(),
                "stored_content_sha256": sha256(),
            },
        },
        "Document": { "type": "object", "required": ["openapi", "info", "paths"] },
    })
}
