//! `docs/config.md`: every table and field, from the same types as the reader and the schema. Owns the page's frame.

use super::catalog::Catalog;
use super::fields::Field;
use super::show::toml_text;

const INTRODUCTION: &str = "\
<!-- Generated from the settings structs; `UPDATE_GENERATED=1 cargo test -p highwater` writes it anew. -->

# highwater.toml

The file is found by `--config FILE`, else `$HIGHWATER_CONFIG`, else as `highwater.toml` in the working directory or one
above it, else at `/etc/highwater/highwater.toml`. Without one, a command that needs it ends with exit 2 and names all that
it tried. `highwater init` writes one that runs; `highwater config check` reads it without doing anything;
`highwater config show` lists every effective value and where it came from; `highwater config schema` prints the JSON
Schema for editors.

- **Paths** that are relative count from the directory of the file, never from the working directory, also where a flag or a
  variable gives them: a second state directory would be a second ledger, with bans of its own.
- **Unknown keys** are refused, with a suggestion. Every error names the file, the line, the field, what was expected and
  what to do; [docs/errors](errors/) has a page on each code.
- **Secrets**: `${NAME}` in a text is replaced from the environment, and a variable that is not set is an error. Such a value
  is never printed: `config show` shows `${NAME}`. `$$` stands for `$`; a `$` before anything but `{` and `$` is itself.
- **Durations** are texts with a unit: `30s`, `5m`, `45 min`, `3 days`. A day has 24 hours; months and years are refused.
- **Sizes** are texts such as `64MiB` or `5 GB`, or a whole number of bytes.
- **Percentages** are texts from `0%` to `100%`, with at most two decimals.
- **Layers**: a flag stands above the environment, the environment above the file, the file above the default.
";

/// The page.
pub(crate) fn reference_markdown() -> String {
    let catalog = Catalog::new();
    let mut page = INTRODUCTION.to_owned();
    section(&mut page, "Top of the file", "Above the first table.", &table(&catalog.top));
    section(
        &mut page,
        "`[resource.NAME]`",
        "What passes compete for or must be polite to: the lock, the pace and the bans. Jobs that name the same resource never \
         run at the same time, and a ban on it stops them all.",
        &table(&catalog.resource),
    );
    let kinds: Vec<_> = catalog.kinds.iter().map(|(kind, _)| format!("`{}`", kind.name)).collect();
    let kind = format!("| `kind` | one of {} | required | Which kind of backlog this is. |\n", kinds.join(", "));
    section(
        &mut page,
        "`[job.NAME]`",
        "A named backlog. `kind` says which, and which further fields it takes; `run --all` takes the jobs in file order. A \
         name is a letter or digit, then up to 127 of letters, digits, `.`, `_`, `-`.",
        &(kind + &table(&catalog.job)),
    );
    lists(&mut page, "job.NAME", &catalog.job);
    for (kind, fields) in &catalog.kinds {
        let schema = (kind.schema)();
        let about = schema["description"].as_str().unwrap_or_default();
        section(&mut page, &format!("`[job.NAME]` with `kind = \"{}\"`", kind.name), about, &table(fields));
        lists(&mut page, "job.NAME", fields);
    }
    section(
        &mut page,
        "`[[notify]]`",
        "Who is told about changes, once per change, from the end of any pass. Each has a `url` or a `command`.",
        &table(&catalog.notify),
    );
    section(
        &mut page,
        "`[migrate]`",
        "Numbered SQL migrations of one database, which `highwater migrate up` applies, each once and in order. A file that begins \
         with `-- highwater:requires JOB` runs when that rollup is complete; `highwater migrate list` shows how they stand.",
        &table(&catalog.migrate),
    );
    section(
        &mut page,
        "`[receiver]`",
        "A receiver of episodes, which `highwater receive` runs. `[receiver.tls]` and `[receiver.limits]` are tables of their own.",
        &table(&catalog.receiver),
    );
    lists(&mut page, "receiver", &catalog.receiver);
    page
}

/// A section for each list of tables in a table.
fn lists(page: &mut String, within: &str, fields: &[Field]) {
    for field in fields.iter().filter(|field| !field.elements.is_empty()) {
        section(page, &format!("`[[{within}.{}]]`", field.name), &field.about, &table(&field.elements));
    }
}

fn section(page: &mut String, heading: &str, about: &str, rows: &str) {
    page.push_str(&format!(
        "\n## {heading}\n\n{about}\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}"
    ));
}

fn table(fields: &[Field]) -> String {
    fields.iter().filter(|field| field.elements.is_empty()).map(|field| rows(field, "")).collect()
}

fn rows(field: &Field, within: &str) -> String {
    let name = format!("{within}{}", field.name);
    if !field.fields.is_empty() {
        return field.fields.iter().map(|inner| rows(inner, &format!("{name}."))).collect();
    }
    let default = match &field.default {
        _ if field.required => "required".to_owned(),
        Some(default) if !is_empty(default) => format!("`{}`", toml_text(default)),
        _ => "—".to_owned(),
    };
    let words = field.words().into_iter().filter(|(_, meaning)| !meaning.is_empty());
    let words: String = words.map(|(word, meaning)| format!(" `{word}`: {meaning}")).collect();
    let cells = [format!("`{name}`"), field.type_text(), default, format!("{}{words}", field.about)];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn is_empty(value: &serde_json::Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}
