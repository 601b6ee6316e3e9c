//! The JSON Schema of `highwater.toml`, for editors: draft 7, which they know. Owns how the tables fit together; their
//! fields come from the settings structs.

use highwater_engine::settings::{JobSettings, NotifySettings, ResourceSettings};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_rollup::migrate::MigrateSettings;
use serde_json::{Map, Value as Json, json};

use super::fields::schema_of;
use super::kind::{KINDS, Kind};
use super::top::TopSettings;

const NAME_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";

/// The schema.
pub(crate) fn schema() -> Json {
    let mut root = schema_of::<TopSettings>();
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("highwater.toml");
    root["description"] = json!("The jobs of this host, the resources they share and who is told about changes.");
    root["properties"]["resource"] =
        named("What passes compete for or must be polite to, by name.", schema_of::<ResourceSettings>());
    root["properties"]["job"] = named("The backlogs, by name.", job());
    root["properties"]["notify"] = json!({
        "description": "Who is told about changes.",
        "type": "array",
        "items": notify(),
    });
    root["properties"]["migrate"] = schema_of::<MigrateSettings>();
    root["properties"]["receiver"] = schema_of::<ReceiverSettings>();
    let first = ["$schema", "title", "description"];
    let object = root.as_object().cloned().unwrap_or_default();
    let (head, tail): (Map<_, _>, Map<_, _>) = object.into_iter().partition(|(key, _)| first.contains(&key.as_str()));
    Json::Object(head.into_iter().chain(tail).collect())
}

fn named(description: &str, table: Json) -> Json {
    json!({
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": table,
    })
}

/// A job: `kind` decides what else it takes.
fn job() -> Json {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    let of_kind = |kind: &Kind| {
        json!({
            "if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]},
            "then": job_of_kind(kind),
        })
    };
    json!({
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"description": "What kind of backlog this is.", "enum": names}},
        "allOf": KINDS.iter().map(of_kind).collect::<Vec<_>>(),
    })
}

fn job_of_kind(kind: &Kind) -> Json {
    let mut schema = (kind.schema)();
    let of_every_kind = schema_of::<JobSettings>();
    let about = json!({"kind": {"const": kind.name, "description": schema["description"]}});
    let properties =
        [&about, &schema["properties"], &of_every_kind["properties"]].map(|part| part.as_object().cloned());
    schema["properties"] = Json::Object(properties.into_iter().flatten().flatten().collect());
    schema
}

/// A notification has one target.
fn notify() -> Json {
    let mut schema = schema_of::<NotifySettings>();
    schema["oneOf"] = json!([{"required": ["url"]}, {"required": ["command"]}]);
    schema
}
