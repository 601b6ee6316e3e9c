//! The command line of an item: `{}` is its key, `{name}` one of its fields. Owns which braces are placeholders and what may
//! stand in an argument; starts nothing.

use std::borrow::Cow;

use super::item::{CommandItem, Fields, Value};
use crate::settings::CommandLine;

/// Longest argument, in bytes: what Linux takes, without the NUL at its end.
pub const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// A command line with placeholders.
///
/// Each word stays one word, whatever its values hold. In an item that is nothing but its key only `{}` is a placeholder; in
/// one with fields `{name}` is one where the item has that field, and braces around anything that no field could be called
/// are text. Where no word holds a placeholder the key is the last word, as `xargs` and `parallel` have it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    words: Vec<Vec<Part>>,
    appends: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Key,
    /// What stands in the braces.
    Field(String),
}

/// A command line that an item cannot fill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("`{{{field}}}` names no field; the fields are {}", known.join(", "))]
    Unknown { field: String, known: Vec<String> },
    #[error("`{{{field}}}` is a list or an object, expected a text, a number, true, false or null")]
    Nested { field: String },
    #[error("`{{{field}}}` holds a NUL character, which no argument can")]
    Nul { field: String },
    #[error("argument {position} would be {bytes} bytes long, expected at most {ARGUMENT_BYTES_MAX}")]
    TooLong { position: usize, bytes: usize },
}

impl Template {
    /// `appends`: whether the key is the last word where no placeholder is.
    pub(super) fn new(line: &CommandLine, appends: bool) -> Self {
        Self { words: line.words().map(parts).collect(), appends }
    }

    /// The words for one item, the program first.
    pub(super) fn fill(&self, item: &CommandItem) -> Result<Vec<String>, TemplateError> {
        let filling = Filling { key: crate::job::WorkItem::key(item), fields: self.needs_fields().then(|| item.fields()).flatten() };
        let mut placed = false;
        let mut words = Vec::with_capacity(self.words.len() + 1);
        for parts in &self.words {
            let mut word = String::new();
            for part in parts {
                placed |= filling.place(part, &mut word)?;
            }
            if word.len() > ARGUMENT_BYTES_MAX {
                return Err(TemplateError::TooLong { position: words.len(), bytes: word.len() });
            }
            words.push(word);
        }
        if self.appends && !placed {
            words.push(String::from(filling.key));
        }
        Ok(words)
    }

    /// The words as they are.
    pub(super) fn plain(line: &CommandLine) -> Self {
        Self { words: line.words().map(|word| vec![Part::Text(word.to_owned())]).collect(), appends: false }
    }

    fn needs_fields(&self) -> bool {
        self.words.iter().flatten().any(|part| matches!(part, Part::Field(_)))
    }
}
