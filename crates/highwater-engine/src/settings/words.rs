//! Values made of free text: [`CommandLine`], [`SecretText`]. Owns what a process can take as an argument.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A program and its arguments, started without a shell.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "Vec<String>")]
pub struct CommandLine {
    /// The program, by path or by name on `PATH`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// The command line of these words, if there is a program and no word holds a NUL.
    #[must_use]
    pub fn new(words: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut words = words.into_iter().map(Into::into);
        let program = words.next().filter(|program| !program.is_empty())?;
        let line = Self { program, arguments: words.collect() };
        let nul = line.words().any(|word| word.contains('\0'));
        (!nul).then_some(line)
    }

    /// The program and its arguments.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.program).chain(&self.arguments).map(String::as_str)
    }
}

impl From<CommandLine> for Vec<String> {
    fn from(line: CommandLine) -> Self {
        let mut words = line.arguments;
        words.insert(0, line.program);
        words
    }
}

struct CommandVisitor;

impl<'de> Visitor<'de> for CommandVisitor {
    type Value = CommandLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings, the program first, such as [\"./load\", \"{}\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<CommandLine, A::Error> {
        let mut words: Vec<String> = Vec::new();
        while let Some(word) = sequence.next_element()? {
            words.push(word);
        }
        let found = match words.first() {
            None => "an empty list",
            Some(program) if program.is_empty() => "an empty program name",
            Some(_) => "a NUL character",
        };
        CommandLine::new(words).ok_or_else(|| A::Error::invalid_value(Unexpected::Other(found), &self))
    }
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CommandVisitor)
    }
}

impl JsonSchema for CommandLine {
    fn schema_name() -> Cow<'static, str> {
        "CommandLine".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "title": "list of strings",
            "items": {"type": "string"},
            "prefixItems": [{"type": "string", "minLength": 1}],
            "minItems": 1,
        })
    }
}

/// A text that may be a secret: `Debug`, `Display` and serialization show `***`.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to use and never to print.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_a_program_and_no_nul() {
        let line: CommandLine = serde_json::from_str(r#"["./load", "{}"]"#).expect("a command");
        assert_eq!(line.words().collect::<Vec<_>>(), ["./load", "{}"]);
        for (json, found) in
            [("[]", "an empty list"), (r#"[""]"#, "an empty program name"), (r#"["a\u0000"]"#, "a NUL")]
        {
            let error = serde_json::from_str::<CommandLine>(json).expect_err(json).to_string();
            assert!(error.contains(found), "{json}: {error}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret = SecretText::new("hunter2");
        let json = serde_json::to_string(&secret).expect("a string");
        assert_eq!(format!("{secret:?} {secret} {json}"), "*** *** \"***\"");
        assert_eq!(secret.expose(), "hunter2");
    }
}
