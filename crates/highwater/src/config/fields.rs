//! The fields of a settings struct, taken from its JSON Schema: names, types, defaults, meaning. One description
//! serves the reader (unknown keys), `config show`, the schema and `docs/config.md`. Owns that description and how a
//! type reads; the structs own what it says.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::{Map, Value as Json};

/// One field of a settings struct.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    /// What it means, in one line.
    pub(super) about: String,
    pub(super) required: bool,
    /// The value when the file has none; absent where there is none.
    pub(super) default: Option<Json>,
    /// The fields of a table with fields of its own.
    pub(super) fields: Vec<Field>,
    /// The fields of each table of a list of tables.
    pub(super) elements: Vec<Field>,
    schema: Json,
}

/// The schema of a settings struct, without references, as TOML sees it: there is no null.
pub(super) fn schema_of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.with_transform(WithoutNull).into_generator().into_root_schema_for::<T>().to_value();
    if let Json::Object(object) = &mut schema {
        object.remove("title");
    }
    schema
}

/// The fields of a settings struct, in their order.
pub(super) fn fields_of<T: JsonSchema>() -> Vec<Field> {
    fields(&schema_of::<T>())
}

fn fields(schema: &Json) -> Vec<Field> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| Field {
            name: name.clone(),
            about: text(&property["description"]),
            required: required(name),
            default: property.get("default").cloned(),
            fields: fields(property),
            elements: fields(&property["items"]),
            schema: property.clone(),
        })
        .collect()
}

fn text(description: &Json) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Field {
    /// Whether the value is a path that was made absolute.
    pub(super) fn is_place(&self) -> bool {
        matches!(self.schema["title"].as_str(), Some("path" | "lock"))
    }

    /// How the type reads in the reference.
    pub(super) fn type_text(&self) -> String {
        type_text(&self.schema)
    }

    /// The words a value may be, with their meaning, for the reference.
    #[cfg(test)]
    pub(super) fn words(&self) -> Vec<(String, String)> {
        let own = words(&self.schema);
        if own.is_empty() { words(&self.schema["items"]) } else { own }
    }
}

fn type_text(schema: &Json) -> String {
    let quoted = |words: Vec<(String, String)>| {
        words.into_iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    let words_here = words(schema);
    if !words_here.is_empty() {
        return format!("one of {}", quoted(words_here));
    }
    if let Some(title) = schema["title"].as_str() {
        return match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(min), Some(max)) => format!("{title}, {min} to {max}"),
            (Some(min), None) if schema["type"] == "integer" => format!("{title}, at least {min}"),
            _ => title.to_owned(),
        };
    }
    match schema["type"].as_str() {
        Some("array") if !words(&schema["items"]).is_empty() => {
            format!("list of {}", quoted(words(&schema["items"])))
        }
        Some("array") => format!("list of {}s", type_text(&schema["items"])),
        Some("object") if schema["properties"].is_object() => "table".to_owned(),
        Some("object") => format!("table of {}s", type_text(&schema["additionalProperties"])),
        Some(name) => name.to_owned(),
        None => "value".to_owned(),
    }
}

fn words(schema: &Json) -> Vec<(String, String)> {
    let word = |variant: &Json| Some((variant["const"].as_str()?.to_owned(), text(&variant["description"])));
    let listed = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let listed = listed.filter_map(|variant| Some((variant.as_str()?.to_owned(), String::new())));
    listed.chain(described.filter_map(word)).collect()
}

/// Takes the null out of every optional field: an absent key is how TOML says it.
#[derive(Clone)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        object.retain(|key, value| key != "default" || !value.is_null());
        if let Some(Json::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [single] = types.as_slice() {
                let single = single.clone();
                object.insert("type".to_owned(), single);
            }
        }
        if let Some(Json::Array(options)) = object.get_mut("anyOf") {
            options.retain(|option| option["type"] != "null");
            if let [Json::Object(single)] = options.as_slice() {
                let single = single.clone();
                object.remove("anyOf");
                merge_missing(object, single);
            }
        }
    }
}

fn merge_missing(object: &mut Map<String, Json>, from: Map<String, Json>) {
    for (key, value) in from {
        object.entry(key).or_insert(value);
    }
}
