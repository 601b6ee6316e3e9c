//! The fields of a job of kind `exec`. Owns what they mean and which go together; does not start anything.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{CommandLine, DurationText, FilePath, Problem, SecretText};

/// Any command as a bounded, locked, remembered pass: once an item with `worklist`, once a pass without.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExecSettings {
    /// The program and its arguments, without a shell. With a worklist `{}` is the item's key and `{name}` one of its
    /// fields (a line has one, `id`, which is the key); where neither stands and `stdin` is `none`, the key comes last.
    pub command: CommandLine,
    /// The file of items. Absent: a pass is the command, run once, and its exit code is the verdict.
    #[serde(default)]
    pub worklist: Option<FilePath>,
    /// How the worklist is read. Absent: by the file's extension, `lines` for any but `.csv` and `.jsonl`.
    #[serde(default)]
    pub format: Option<WorklistFormat>,
    /// The field that names an item. Absent: for CSV the column `id`, else the first; for JSON lines `id`.
    #[serde(default)]
    pub key: Option<String>,
    /// What the command reads on stdin.
    #[serde(default)]
    pub stdin: StdinShape,
    /// The time one command may take; then its process group gets SIGTERM. Absent: no limit.
    #[serde(default)]
    pub timeout: Option<DurationText>,
    /// The time between SIGTERM and SIGKILL.
    #[serde(default = "grace_default")]
    pub grace: DurationText,
    /// What becomes of an item whose command was running when the pass was killed.
    #[serde(default)]
    pub on_unknown: OnUnknown,
    /// The command's working directory. Absent: the config file's.
    #[serde(default)]
    pub directory: Option<FilePath>,
    /// Variables added to the command's environment.
    #[serde(default)]
    pub env: BTreeMap<String, SecretText>,
}

fn grace_default() -> DurationText {
    DurationText::secs(10)
}

/// How a worklist file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum WorklistFormat {
    /// One key a line.
    Lines,
    /// Comma-separated, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl WorklistFormat {
    /// The format that a file's extension names; `lines` when it names none.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("csv") => Self::Csv,
            Some(extension) if extension.eq_ignore_ascii_case("jsonl") => Self::Jsonl,
            _ => Self::Lines,
        }
    }
}

/// What the command reads on stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum StdinShape {
    /// Nothing.
    #[default]
    None,
    /// The item as one JSON object on one line.
    Json,
}

/// What becomes of an item whose outcome a kill left unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum OnUnknown {
    /// The command runs again.
    #[default]
    Rerun,
    /// A person looks.
    Review,
}

impl ExecSettings {
    /// The settings of a command, all else by default.
    #[must_use]
    pub fn new(command: CommandLine) -> Self {
        Self {
            command,
            worklist: None,
            format: None,
            key: None,
            stdin: StdinShape::default(),
            timeout: None,
            grace: grace_default(),
            on_unknown: OnUnknown::default(),
            directory: None,
            env: BTreeMap::new(),
        }
    }

    /// How the worklist is read, if there is one.
    #[must_use]
    pub fn effective_format(&self) -> Option<WorklistFormat> {
        let worklist = self.worklist.as_ref()?;
        Some(self.format.unwrap_or_else(|| WorklistFormat::of_path(worklist)))
    }

    /// Makes paths absolute, counted from the config file's directory, which is also the default of `directory`, and
    /// fills in the format.
    pub fn resolve(&mut self, base: &Path) {
        if let Some(worklist) = &mut self.worklist {
            worklist.resolve(base);
        }
        self.format = self.effective_format();
        self.directory.get_or_insert_with(|| FilePath::new(base)).resolve(base);
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.worklist.is_none() {
            let needs_items = [
                ("format", self.format.is_some()),
                ("key", self.key.is_some()),
                ("stdin", self.stdin != StdinShape::None),
                ("on-unknown", self.on_unknown != OnUnknown::Rerun),
            ];
            for (field, _) in needs_items.into_iter().filter(|(_, given)| *given) {
                problems.push(Problem::new(
                    field,
                    format!("found `{field}` without a `worklist`, where it has no meaning"),
                    format!("add `worklist = \"FILE\"`, or remove `{field}`"),
                ));
            }
        }
        if self.key.is_some() && self.effective_format() == Some(WorklistFormat::Lines) {
            problems.push(Problem::new(
                "key",
                "found `key` with a worklist of lines, where the line itself is the key",
                "remove `key`, or set `format = \"csv\"` or `\"jsonl\"`",
            ));
        }
        if let Some(name) = self.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            problems.push(Problem::new(
                "env",
                format!("found the variable name {name:?}, expected one without `=` and NUL"),
                "rename the variable",
            ));
        }
        if let Some((name, _)) = self.env.iter().find(|(_, value)| value.expose().contains('\0')) {
            problems.push(Problem::new(
                "env",
                format!("found a NUL in the value of `{name}`, which no environment can hold"),
                "remove the NUL",
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(json: &str) -> ExecSettings {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn the_format_follows_the_extension_unless_it_is_given() {
        for (path, format) in [
            ("ids.txt", WorklistFormat::Lines),
            ("ids", WorklistFormat::Lines),
            ("a.CSV", WorklistFormat::Csv),
            ("a.jsonl", WorklistFormat::Jsonl),
        ] {
            assert_eq!(WorklistFormat::of_path(Path::new(path)), format, "{path}");
        }
        let given = exec(r#"{"command": ["./load"], "worklist": "ids.txt", "format": "csv"}"#);
        assert_eq!(given.effective_format(), Some(WorklistFormat::Csv));
    }

    #[test]
    fn the_working_directory_is_the_config_files_unless_it_is_given() {
        let mut absent = exec(r#"{"command": ["./load"]}"#);
        absent.resolve(Path::new("/etc/hw"));
        assert_eq!(absent.directory, Some(FilePath::new("/etc/hw")));
        let mut given = exec(r#"{"command": ["./load"], "directory": "work"}"#);
        given.resolve(Path::new("/etc/hw"));
        assert_eq!(given.directory, Some(FilePath::new("/etc/hw/work")));
    }

    #[test]
    fn fields_that_need_a_worklist_are_refused_without_one() {
        let alone = exec(r#"{"command": ["./load"], "key": "id", "stdin": "json", "on-unknown": "review"}"#);
        let fields: Vec<_> = alone.problems().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["key", "stdin", "on-unknown"]);
    }
}
