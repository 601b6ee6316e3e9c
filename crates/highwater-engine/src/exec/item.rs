//! The item of a command: its key, and the fields it came with. Owns how an item is pinned and what its fields are worth as
//! text; where it was read from is [`super::source`]'s.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::job::WorkItem;
use crate::name::ItemKey;

/// Longest item, in bytes: a line of the worklist, or a record of a CSV.
pub const ITEM_BYTES_MAX: usize = 1024 * 1024;

/// The field that names an item when none is told; a line has no other.
pub(super) const KEY_DEFAULT: &str = "id";

/// What a command is started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandItem {
    key: ItemKey,
    /// The JSON object it came as, word for word; a line has none.
    object: Option<Box<str>>,
}

impl CommandItem {
    /// An item that is nothing but its key.
    #[must_use]
    pub fn of_key(key: ItemKey) -> Self {
        Self { key, object: None }
    }

    /// An item with fields: `object` is a JSON object on one line.
    pub(super) fn of_object(key: ItemKey, object: impl Into<Box<str>>) -> Self {
        Self { key, object: Some(object.into()) }
    }

    /// Its fields; `None` when it is nothing but its key.
    pub(super) fn fields(&self) -> Option<Fields<'_>> {
        // What does not read as an object was refused when the item was made or decoded.
        self.object.as_deref().and_then(|object| serde_json::from_str(object).ok())
    }

    /// How many bytes it holds in memory.
    pub(super) fn bytes(&self) -> usize {
        self.key.as_str().len() + self.object.as_deref().map_or(0, str::len)
    }

    /// The item as one JSON object on one line.
    pub(super) fn json_line(&self) -> Vec<u8> {
        let mut line = match &self.object {
            Some(object) => object.as_bytes().to_vec(),
            None => format!("{{\"key\":{}}}", serde_json::Value::from(self.key.as_str())).into_bytes(),
        };
        line.push(b'\n');
        line
    }
}

impl WorkItem for CommandItem {
    fn key(&self) -> ItemKey {
        self.key.clone()
    }

    fn encode(&self) -> Vec<u8> {
        self.object.as_deref().map(|object| object.as_bytes().to_vec()).unwrap_or_default()
    }

    fn decode(key: &ItemKey, payload: &[u8]) -> Result<Self, String> {
        if payload.is_empty() {
            return Ok(Self::of_key(key.clone()));
        }
        let object = std::str::from_utf8(payload).map_err(|e| e.to_string())?;
        serde_json::from_str::<Fields<'_>>(object).map_err(|e| e.to_string())?;
        Ok(Self::of_object(key.clone(), object))
    }
}

/// The fields of an item in their order, each once, with its value as it is written.
#[derive(Debug)]
pub(super) struct Fields<'j>(Vec<(Cow<'j, str>, &'j RawValue)>);

impl<'j> Fields<'j> {
    pub(super) fn get(&self, name: &str) -> Option<&'j RawValue> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.to_string()).collect()
    }
}

/// A value of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'j> {
    Text(String),
    /// As it is written: a number is not rounded.
    Number(&'j str),
    /// `true` or `false`.
    Truth(&'j str),
    Null,
    /// A list or an object.
    Nested,
    /// A text with half of a surrogate pair, which is no character.
    Broken,
}

impl<'j> Value<'j> {
    pub(super) fn of(raw: &'j RawValue) -> Self {
        let raw = raw.get();
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_or(Self::Broken, Self::Text),
            Some(b'{' | b'[') => Self::Nested,
            Some(b't' | b'f') => Self::Truth(raw),
            Some(b'n') => Self::Null,
            _ => Self::Number(raw),
        }
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom(format!("the field {name:?} is there twice")));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(Fields(fields))
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A field's name, borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Name<'j>(#[serde(borrow)] Cow<'j, str>);

/// A record of a table as a JSON object of texts.
pub(super) struct Record<'r> {
    pub(super) names: &'r [String],
    pub(super) values: &'r csv::StringRecord,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.names.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ItemKey {
        ItemKey::new(text).unwrap()
    }

    #[test]
    fn an_item_comes_back_from_the_ledger_as_it_was_pinned() {
        for item in [
            CommandItem::of_key(key("a \"b\"\n")),
            CommandItem::of_object(
                key("7"),
                r#"{"id": 7, "n": 1.10, "big": 12345678901234567890123, "x": {"y": [1]}}"#,
            ),
        ] {
            assert_eq!(CommandItem::decode(&item.key, &item.encode()), Ok(item));
        }
    }

    #[test]
    fn r14_a_damaged_row_is_named_and_nothing_else() {
        for payload in [b"\xff".as_slice(), b"{", b"[1]", b"{} {}", br#"{"a":1,"a":2}"#] {
            assert!(CommandItem::decode(&key("a"), payload).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn stdin_gets_one_object_on_one_line_word_for_word() {
        assert_eq!(CommandItem::of_key(key("a\"\n")).json_line(), b"{\"key\":\"a\\\"\\n\"}\n");
        let object = r#"{"id": 7, "n": 1.10}"#;
        assert_eq!(CommandItem::of_object(key("7"), object).json_line(), format!("{object}\n").into_bytes());
    }

    #[test]
    fn values_are_as_they_are_written() {
        let item = CommandItem::of_object(
            key("7"),
            r#"{"a\u0062": "x\ty", "n": 1.10, "t": true, "l": [ 1 ], "o": {}, "z": null, "s": "\ud800"}"#,
        );
        let fields = item.fields().expect("an object");
        assert_eq!(fields.names(), ["ab", "n", "t", "l", "o", "z", "s"]);
        let value = |name| fields.get(name).map(Value::of).expect(name);
        assert_eq!(value("ab"), Value::Text("x\ty".to_owned()));
        assert_eq!(value("n"), Value::Number("1.10"));
        assert_eq!(value("t"), Value::Truth("true"));
        assert_eq!((value("l"), value("o")), (Value::Nested, Value::Nested));
        assert_eq!((value("z"), value("s")), (Value::Null, Value::Broken));
        assert!(fields.get("y").is_none());
    }
}
