//! A worklist of JSON lines: an object or a text a line. Owns how such a line names its item.

use std::io::BufRead;

use super::line::Lines;
use super::{Listed, key};
use crate::diagnosis::Diagnosis;
use crate::exec::item::{CommandItem, Fields, KEY_DEFAULT, Value};
use crate::name::ItemKey;

/// Reads one line after the other.
pub(super) struct JsonRows<R> {
    lines: Lines<R>,
    key: String,
}

impl<R: BufRead> JsonRows<R> {
    pub(super) fn new(lines: Lines<R>, key: Option<String>) -> Self {
        Self { lines, key: key.unwrap_or_else(|| KEY_DEFAULT.to_owned()) }
    }

    pub(super) fn next(&mut self) -> Result<Option<Listed>, Diagnosis> {
        loop {
            let Some((line, text)) = self.lines.next()? else { return Ok(None) };
            let text = text.trim();
            if !text.is_empty() {
                let item = item(text, &self.key).map_err(|e| e.at_line(line))?;
                return Ok(Some(Listed { item, line }));
            }
        }
    }
}

fn item(text: &str, key_field: &str) -> Result<CommandItem, Diagnosis> {
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: Fields<'_> = serde_json::from_str(text).map_err(|e| not_json(&e))?;
            Ok(CommandItem::of_object(key_of(&fields, key_field)?, text))
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(text).map_err(|e| not_json(&e))?;
            Ok(CommandItem::of_key(key(&text)?))
        }
        _ => Err(Diagnosis::refusal(
            "HW-WRK-017",
            format!("found {}, expected a JSON object such as {{\"id\": …}}, or a JSON text", shown(text)),
            "write one object a line; a list in brackets becomes one by `jq -c '.[]' OLD.json > NEW.jsonl`",
        )),
    }
}

fn key_of(fields: &Fields<'_>, name: &str) -> Result<ItemKey, Diagnosis> {
    let refuse = |found: &str| {
        Diagnosis::refusal(
            "HW-WRK-015",
            format!("found {found}, expected a text or a whole number, which names the item"),
            "correct the line, or name another field in `key`",
        )
        .at_field(name)
    };
    let Some(raw) = fields.get(name) else {
        return Err(refuse(&format!("no such field among: {}", fields.names().join(", "))));
    };
    match Value::of(raw) {
        Value::Text(text) => key(&text).map_err(|e| e.at_field(name)),
        Value::Number(number) if number.bytes().all(|b| b.is_ascii_digit() || b == b'-') => key(number),
        Value::Number(number) => Err(refuse(number)),
        Value::Truth(word) => Err(refuse(word)),
        Value::Null => Err(refuse("null")),
        Value::Nested => Err(refuse("a list or an object")),
        Value::Broken => Err(refuse("a text with half a character")),
    }
}

fn not_json(error: &serde_json::Error) -> Diagnosis {
    // Its own line number is always 1 here.
    let text = error.to_string();
    let what = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]);
    Diagnosis::refusal(
        "HW-WRK-017",
        format!("found what is no JSON at column {}: {what}", error.column()),
        "correct the line: one whole JSON object a line, no commas between lines",
    )
}

/// The beginning of a line, for a message.
fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{shown}`")
}
