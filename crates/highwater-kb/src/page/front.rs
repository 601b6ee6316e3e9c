//! Front matter: the YAML between two lines of `---` with which a page begins. Owns how it is written, always the same way, and how
//! it is read: leniently, since a page of a person may have any YAML there, or something that is none.

use std::fmt::Write as _;

use serde_json::Value;

/// The most bytes of front matter that are read as YAML; more is no front matter of ours.
pub const FRONT_BYTES_MAX: usize = 256 * 1024;

/// What front matter says, as far as a base knows the words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Front {
    /// `type`: which kind of page it is.
    pub kind: Option<String>,
    /// What the page is about, in one line.
    pub description: Option<String>,
    /// What it was made from.
    pub sources: Vec<String>,
    /// What kind of document a summary is of.
    pub doc_type: Option<String>,
    /// Where the text of that document is.
    pub full_text: Option<String>,
}

/// What a page begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No front matter.
    None,
    /// Front matter; words that it does not know are left out.
    Front(Front),
    /// Something between the two lines that is no YAML, or none that has names: what is wrong with it.
    Damaged(String),
}

/// A page in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parted<'a> {
    /// What is between the two lines; `None` where there is no front matter.
    pub yaml: Option<&'a str>,
    /// The byte at which the rest begins.
    pub body_at: usize,
}

/// Where the front matter of a page ends.
#[must_use]
pub fn part(page: &str) -> Parted<'_> {
    let none = Parted { yaml: None, body_at: 0 };
    let begin = if page.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut at = begin;
    let mut yaml_at = None;
    for line in page[begin..].split_inclusive('\n') {
        let rule = line.trim_end() == "---";
        at += line.len();
        match yaml_at {
            None if rule => yaml_at = Some(at),
            None => return none,
            Some(from) if rule => return Parted { yaml: Some(&page[from..at - line.len()]), body_at: at },
            Some(from) if at - from > FRONT_BYTES_MAX => return none,
            Some(_) => {}
        }
    }
    none
}

impl Front {
    /// Reads what a page begins with.
    #[must_use]
    pub fn read(page: &str) -> Found {
        let Some(yaml) = part(page).yaml else { return Found::None };
        if yaml.trim().is_empty() {
            return Found::Front(Self::default());
        }
        match serde_saphyr::from_str::<Value>(yaml) {
            Ok(Value::Object(fields)) => Found::Front(Self {
                kind: fields.get("type").and_then(word),
                description: fields.get("description").and_then(word),
                sources: match fields.get("sources") {
                    Some(Value::Array(list)) => list.iter().filter_map(word).collect(),
                    Some(one) => word(one).into_iter().collect(),
                    None => Vec::new(),
                },
                doc_type: fields.get("doc_type").and_then(word),
                full_text: fields.get("full_text").and_then(word),
            }),
            Ok(_) => Found::Damaged("it has no names".to_owned()),
            Err(error) => Found::Damaged(error.to_string().lines().next().unwrap_or_default().to_owned()),
        }
    }

    /// The front matter with both its lines. The same facts are always the same bytes.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = String::from("---\n");
        let mut field = |name: &str, value: Option<&String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{name}: {}", scalar(value));
            }
        };
        field("type", self.kind.as_ref());
        field("description", self.description.as_ref());
        field("doc_type", self.doc_type.as_ref());
        field("full_text", self.full_text.as_ref());
        if !self.sources.is_empty() {
            text.push_str("sources:\n");
            for source in &self.sources {
                let _ = writeln!(text, "  - {}", scalar(source));
            }
        }
        text.push_str("---\n");
        text
    }
}

/// What a value says as text, where it is no list and no map.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Words that YAML takes for something else, in one of its versions.
const NOT_PLAIN: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"];

/// A value on one line: as it is where it is a plain word, else between quotes.
fn scalar(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase()) && !NOT_PLAIN.contains(&text);
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // What YAML does not print, and what some readers take for the end of a line.
            _ if character.is_control()
                || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn front() -> impl Strategy<Value = Front> {
        let text = || proptest::option::of(any::<String>());
        (text(), text(), proptest::collection::vec(any::<String>(), 0..4), text(), text()).prop_map(
            |(kind, description, sources, doc_type, full_text)| Front {
                kind,
                description,
                sources,
                doc_type,
                full_text,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(front in front(), body in any::<String>()) {
            let page = format!("{}{body}", front.write());
            prop_assert_eq!(part(&page).body_at, front.write().len());
            prop_assert_eq!(Front::read(&page), Found::Front(front));
        }

        #[test]
        fn any_text_can_be_read(text in "(---\n)?[-a:\\[\\]{}&*!|>'\"%@`# \n]{0,80}(\n---\n)?.*") {
            let body_at = part(&text).body_at;
            prop_assert!(text.is_char_boundary(body_at));
            let _ = Front::read(&text);
        }
    }

    #[test]
    fn a_summary_has_its_words_in_their_order() {
        let front = Front {
            kind: Some("summary".to_owned()),
            description: Some("Tides: \"high\" & low".to_owned()),
            sources: vec!["raw/a b.pdf".to_owned()],
            doc_type: Some("report".to_owned()),
            full_text: Some("sources/a.md".to_owned()),
        };
        let written = "---\ntype: summary\ndescription: \"Tides: \\\"high\\\" & low\"\ndoc_type: report\n\
                       full_text: \"sources/a.md\"\nsources:\n  - \"raw/a b.pdf\"\n---\n";
        assert_eq!(front.write(), written);
    }

    #[test]
    fn what_a_person_wrote_is_read_as_far_as_it_goes() {
        let read = |page: &str| match Front::read(page) {
            Found::Front(front) => front,
            other => panic!("{page:?}: {other:?}"),
        };
        let front = read("---\r\ntags: [a, b]\r\ntype: concept\r\nsources: one\r\nnested: {a: 1}\r\n---\r\ntext");
        assert_eq!((front.kind.as_deref(), front.sources), (Some("concept"), vec!["one".to_owned()]));
        assert_eq!(read("---\ntype: 12\nsources: [1, two, [three]]\n---\n").sources, ["1", "two"]);
        assert_eq!(read("---\n---\ntext"), Front::default());
        for none in ["", "text", "--- x\n---\n", "\n---\na: b\n---\n", "---\na: b\n", "----\na: b\n----\n"] {
            assert_eq!(Front::read(none), Found::None, "{none:?}");
        }
        for damaged in ["---\n- a\n---\n", "---\na: [\n---\n", "---\n\tx: {\n---\n", "---\na: *b\n---\n"] {
            assert!(matches!(Front::read(damaged), Found::Damaged(why) if !why.is_empty()), "{damaged:?}");
        }
    }
}
