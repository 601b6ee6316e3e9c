//! The command line of an item: `{}` is its key, `{name}` one of its fields. Owns which braces are placeholders and what may
//! stand in an argument; starts nothing.

use super::item::{CommandItem, Fields, KEY_DEFAULT, Value};
use crate::job::WorkItem;
use crate::name::ItemKey;
use crate::settings::CommandLine;

/// Longest argument, in bytes: what Linux takes, without the NUL at its end.
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// A command line with placeholders.
///
/// Each word stays one word, whatever its values hold. `{name}` is a placeholder where the item has that field (one that is
/// nothing but its key has one, `id`, which is the key); other braces are an error when they hold what looks like a name, else
/// text. Where nothing was put in place of a placeholder the key becomes the last word, as with `xargs` and
/// `parallel`.
#[derive(Debug, Clone)]
pub(super) struct Template {
    words: Vec<Vec<Part>>,
    appends_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Key,
    /// What stands in the braces.
    Braces(String),
}

/// A command line that an item cannot fill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("`{{{name}}}` names no field, expected one of: {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("`{{{name}}}` is {found}, expected a text, a number, true or false")]
    NotOneValue { name: String, found: &'static str },
    #[error("`{{{name}}}` holds a NUL character, which no argument can")]
    Nul { name: String },
    #[error("argument {position} would have {bytes} bytes, expected at most {ARGUMENT_BYTES_MAX}")]
    TooLong { position: usize, bytes: usize },
}

impl Template {
    /// `appends_key`: whether the key is the last word where no placeholder is.
    pub(super) fn new(line: &CommandLine, appends_key: bool) -> Self {
        Self { words: line.words().map(parts).collect(), appends_key }
    }

    /// The words for one item, the program first.
    pub(super) fn fill(&self, item: &CommandItem) -> Result<Vec<String>, TemplateError> {
        let key = item.key();
        let needs_fields = self.words.iter().flatten().any(|part| matches!(part, Part::Braces(_)));
        let fields = if needs_fields { item.fields() } else { None };
        let mut placed = false;
        let mut words = Vec::with_capacity(self.words.len() + 1);
        for parts in &self.words {
            let mut word = String::new();
            for part in parts {
                match part {
                    Part::Text(text) => word.push_str(text),
                    Part::Key => {
                        word.push_str(key.as_str());
                        placed = true;
                    }
                    Part::Braces(inner) => {
                        let value = match &fields {
                            Some(fields) => field(fields, inner)?,
                            None => field_of_line(&key, inner)?,
                        };
                        match value {
                            Some(value) => {
                                word.push_str(&value);
                                placed = true;
                            }
                            None => word.extend(["{", inner, "}"]),
                        }
                    }
                }
            }
            if word.len() > ARGUMENT_BYTES_MAX {
                return Err(TemplateError::TooLong { position: words.len(), bytes: word.len() });
            }
            words.push(word);
        }
        if self.appends_key && !placed {
            words.push(key.into());
        }
        Ok(words)
    }
}

/// The text of a field; `None` where the braces are text.
fn field(fields: &Fields<'_>, name: &str) -> Result<Option<String>, TemplateError> {
    let not_one = |found| TemplateError::NotOneValue { name: name.to_owned(), found };
    match fields.get(name).map(Value::of) {
        Some(Value::Text(text)) if text.contains('\0') => Err(TemplateError::Nul { name: name.to_owned() }),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(Value::Number(text) | Value::Truth(text)) => Ok(Some(text.to_owned())),
        Some(Value::Null) => Err(not_one("null")),
        Some(Value::Nested) => Err(not_one("a list or an object")),
        Some(Value::Broken) => Err(not_one("a text with half a character (`\\ud800` to `\\udfff`)")),
        None if looks_like_a_name(name) => Err(TemplateError::Unknown { name: name.to_owned(), known: fields.names() }),
        None => Ok(None),
    }
}

/// The same for an item that is nothing but its key.
fn field_of_line(key: &ItemKey, name: &str) -> Result<Option<String>, TemplateError> {
    match name {
        KEY_DEFAULT => Ok(Some(key.as_str().to_owned())),
        _ if looks_like_a_name(name) => {
            Err(TemplateError::Unknown { name: name.to_owned(), known: vec![KEY_DEFAULT.to_owned()] })
        }
        _ => Ok(None),
    }
}

/// `{print $1}` and `{"a":1}` are not meant for us; a misspelt field is.
fn looks_like_a_name(text: &str) -> bool {
    let begins = |c: char| c.is_alphanumeric() || c == '_';
    text.starts_with(begins) && text.chars().all(|c| begins(c) || matches!(c, '-' | '.' | ':' | ' '))
}

fn parts(word: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let after = &rest[open + 1..];
        // The next bracket closes these braces, or opens the ones that count.
        match after.find(['{', '}']).filter(|at| after[*at..].starts_with('}')) {
            Some(close) => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                let inner = &after[..close];
                parts.push(if inner.is_empty() { Part::Key } else { Part::Braces(inner.to_owned()) });
                rest = &after[close + 1..];
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> CommandLine {
        CommandLine::new(words.iter().copied()).expect("a command")
    }

    fn bare(key: &str) -> CommandItem {
        CommandItem::of_key(ItemKey::new(key).unwrap())
    }

    fn book(object: &str) -> CommandItem {
        CommandItem::of_object(ItemKey::new("7").unwrap(), object)
    }

    fn fill(words: &[&str], item: &CommandItem) -> Result<Vec<String>, TemplateError> {
        Template::new(&line(words), true).fill(item)
    }

    #[test]
    fn the_key_stands_in_a_word_of_its_own_or_within_one() {
        assert_eq!(fill(&["./load", "{}"], &bare("a")).unwrap(), ["./load", "a"]);
        assert_eq!(fill(&["x", "--id={}", "{}.json", "{}{}"], &bare("a")).unwrap(), ["x", "--id=a", "a.json", "aa"]);
        assert_eq!(fill(&["./{}/run"], &bare("a")).unwrap(), ["./a/run"]);
    }

    #[test]
    fn whatever_a_key_holds_it_is_one_argument() {
        for key in ["a b", "-rf", "--", "'\"`$(x)`", "a\nb", "{}", "{name}", "ü 💧", "*", "\\"] {
            assert_eq!(fill(&["load", "{}"], &bare(key)).unwrap(), ["load", key]);
            assert_eq!(fill(&["load"], &bare(key)).unwrap(), ["load", key]);
        }
    }

    #[test]
    fn without_a_placeholder_the_key_is_the_last_word_unless_the_item_is_on_stdin() {
        assert_eq!(fill(&["./load", "--fast"], &bare("a")).unwrap(), ["./load", "--fast", "a"]);
        assert_eq!(fill(&["load"], &book(r#"{"id":7}"#)).unwrap(), ["load", "7"]);
        let silent = Template::new(&line(&["./load", "--fast"]), false);
        assert_eq!(silent.fill(&bare("a")).unwrap(), ["./load", "--fast"]);
    }

    #[test]
    fn braces_of_other_languages_are_left_alone() {
        for word in ["{print $1}", r#"{"a":1}"#, "${HOME%/*}", "{a,b}", "{ x; }", "{", "}", "}{", "{a"] {
            assert_eq!(fill(&["x", word, "{}"], &bare("k")).unwrap(), ["x", word, "k"], "{word}");
        }
        for word in ["{print $1}", r#"{"a":1}"#, "{a,b}", "{ x; }"] {
            assert_eq!(fill(&["x", word], &book("{}")).unwrap(), ["x", word, "7"], "{word}");
        }
        assert_eq!(fill(&["x", "{{}}", "{a{}b}"], &bare("k")).unwrap(), ["x", "{k}", "{akb}"]);
    }

    #[test]
    fn the_one_field_of_a_line_is_its_key_and_is_named_id() {
        assert_eq!(fill(&["./load", "--id", "{id}"], &bare("a b")).unwrap(), ["./load", "--id", "a b"]);
        assert_eq!(fill(&["x", "{id}-{}.json"], &bare("{id}")).unwrap(), ["x", "{id}-{id}.json"]);
        for word in ["{name}", "{ID}", "${HOME}", "{print}"] {
            let refused = fill(&["x", word, "{}"], &bare("k")).expect_err(word);
            assert!(matches!(&refused, TemplateError::Unknown { known, .. } if known == &["id"]), "{word}: {refused}");
        }
    }

    #[test]
    fn fields_are_put_in_as_they_are_written() {
        let item = book(r#"{"id":7,"title":"A {} \"b\"","price":1.10,"in":true,"Book ID":"x"}"#);
        let words = fill(&["x", "{title}", "{price}-{in}", "{Book ID}", "{}"], &item).unwrap();
        assert_eq!(words, ["x", "A {} \"b\"", "1.10-true", "x", "7"]);
    }

    #[test]
    fn r15_a_field_that_cannot_be_put_in_is_named() {
        let item = book(r#"{"id":7,"tags":[1],"none":null,"nul":"a\u0000b"}"#);
        let refused = |word: &str| fill(&["x", word], &item).expect_err(word).to_string();
        assert_eq!(refused("{titel}"), "`{titel}` names no field, expected one of: id, tags, none, nul");
        assert_eq!(refused("{tags}"), "`{tags}` is a list or an object, expected a text, a number, true or false");
        assert_eq!(refused("{none}"), "`{none}` is null, expected a text, a number, true or false");
        assert_eq!(refused("{nul}"), "`{nul}` holds a NUL character, which no argument can");
        let long = book(&format!(r#"{{"t":"{}"}}"#, "x".repeat(ARGUMENT_BYTES_MAX)));
        assert!(fill(&["x", "{t}"], &long).is_ok());
        assert!(matches!(fill(&["x", "y", "-{t}"], &long), Err(TemplateError::TooLong { position: 2, .. })));
    }
}
