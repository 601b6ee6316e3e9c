//! The tables `resource`, `job` and `notify`: their shape, the names in them, and how a job's keys divide between every
//! job's and its kind's. Owns what is said of a table; the values in it are [`super::read`]'s.

use highwater_engine::name::JobName;
use highwater_engine::settings::{JobSettings, NotifySettings, Problem};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::catalog::Catalog;
use super::kind::{KINDS, Kind};
use super::read::{Reader, article};
use super::source::FieldPath;
use super::suggest::{one_of, suggestion};
use super::{JobConfig, codes};

/// A key of the file with its value, if the file has it.
pub(super) type Entry<'i> = Option<(Spanned<DeString<'i>>, Spanned<DeValue<'i>>)>;

/// Reads `[what.NAME]`, each with `read_one`.
pub(super) fn read_named<'i, T>(
    reader: &mut Reader<'_>,
    tables: Entry<'i>,
    what: &str,
    mut read_one: impl FnMut(&mut Reader<'_>, JobName, DeTable<'i>, &FieldPath, u64) -> Option<T>,
) -> Vec<T> {
    let Some((key, value)) = tables else {
        return Vec::new();
    };
    let at = FieldPath::default().join(what);
    let refuse =
        |reader: &mut Reader<'_>, line: u64, at: &FieldPath, found: &DeValue<'_>, name: &str| {
            let message = format!("found {}, expected a table", article(found.type_str()));
            let next = format!(
                "write `[{what}.{name}]` on a line of its own, its keys on the lines below"
            );
            reader.tell(codes::WRONG_VALUE, line, at, message, next);
        };
    let line = reader.line_of(&key);
    let tables = match value.into_inner() {
        DeValue::Table(tables) => tables,
        other => {
            refuse(reader, line, &at, &other, "NAME");
            return Vec::new();
        }
    };
    let mut all = Vec::new();
    for (key, value) in tables {
        let line = reader.line_of(&key);
        let at = at.join(key.get_ref());
        let name = match JobName::new(key.get_ref().as_ref()) {
            Ok(name) => name,
            Err(error) => {
                let message = format!(
                    "found {} as the name of a {what}, expected {}",
                    error.found, error.expected
                );
                reader.tell(
                    codes::BAD_NAME,
                    line,
                    &at,
                    message,
                    format!("rename the {what}"),
                );
                continue;
            }
        };
        match value.into_inner() {
            DeValue::Table(table) => all.extend(read_one(reader, name, table, &at, line)),
            other => refuse(reader, line, &at, &other, name.as_str()),
        }
    }
    all
}

/// Splits a job's table between the fields of every job and those of its kind.
pub(super) fn read_job(
    reader: &mut Reader<'_>,
    catalog: &Catalog,
    name: JobName,
    mut table: DeTable<'_>,
    at: &FieldPath,
    line: u64,
) -> Option<JobConfig> {
    let kind = read_kind(reader, table.remove_entry("kind"), at, line);
    let of_kinds = catalog
        .kinds
        .iter()
        .filter(|(known, _)| kind.is_none_or(|kind| kind.name == known.name));
    let known: Vec<_> = catalog
        .job
        .iter()
        .chain(of_kinds.flat_map(|(_, fields)| fields))
        .collect();
    reader.refuse_unknown(&table, &known, at);
    let settings = reader.read::<JobSettings>(&catalog.job, table.clone(), at, line);
    let kind =
        kind.and_then(|kind| (kind.read)(reader, catalog.of_kind(kind.name), table, at, line));
    let (settings, kind) = (settings?, kind?);
    tell_problems(reader, kind.problems(), at, line);
    Some(JobConfig {
        name,
        settings,
        kind,
        line,
    })
}

/// Tells what is wrong with a table as a whole; `line` is the table's own.
fn tell_problems(reader: &mut Reader<'_>, problems: Vec<Problem>, at: &FieldPath, line: u64) {
    for problem in problems {
        let at = at.join(problem.field);
        let line = reader.entries.line(at.as_str()).unwrap_or(line);
        reader.tell(
            codes::CONTRADICTION,
            line,
            &at,
            problem.message,
            problem.next,
        );
    }
}

fn read_kind(
    reader: &mut Reader<'_>,
    kind: Entry<'_>,
    at: &FieldPath,
    line: u64,
) -> Option<&'static Kind> {
    let at = at.join("kind");
    let known = || KINDS.iter().map(|kind| kind.name);
    let expected = format!("expected {}", one_of(known()));
    let Some((key, value)) = kind else {
        let next = format!("add `kind = \"{}\"`", KINDS[0].name);
        reader.tell(
            codes::MISSING_KEY,
            line,
            &at,
            format!("found no `kind`, {expected}"),
            next,
        );
        return None;
    };
    reader.remember(&key, &value, &at);
    let line = reader.line_of(&key);
    if reader.interpolated.failed_in(&value) {
        return None;
    }
    let Some(name) = value.get_ref().as_str() else {
        let message = format!("found {}, {expected}", article(value.get_ref().type_str()));
        reader.tell(
            codes::WRONG_VALUE,
            line,
            &at,
            message,
            "write the kind in quotes",
        );
        return None;
    };
    let kind = Kind::named(name);
    if kind.is_none() {
        let found = reader.interpolated.secret_in(&value).unwrap_or(name);
        let message = format!("found the kind {found:?}, {expected}");
        let next = match suggestion(name, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "correct the kind".to_owned(),
        };
        reader.tell(codes::UNKNOWN_KIND, line, &at, message, next);
    }
    kind
}

/// Reads `[[notify]]`.
pub(super) fn read_notify(
    reader: &mut Reader<'_>,
    catalog: &Catalog,
    notify: Entry<'_>,
) -> Vec<NotifySettings> {
    let Some((key, value)) = notify else {
        return Vec::new();
    };
    let at = FieldPath::default().join("notify");
    let fields: Vec<_> = catalog.notify.iter().collect();
    let line = reader.line_of(&key);
    let next = "write `[[notify]]`, with two brackets, above the keys of each";
    let DeValue::Array(array) = value.get_ref() else {
        let message = format!(
            "found {}, expected a list of tables",
            article(value.get_ref().type_str())
        );
        reader.tell(codes::WRONG_VALUE, line, &at, message, next);
        return Vec::new();
    };
    let mut all = Vec::new();
    for (index, element) in array.iter().enumerate() {
        let at = at.element(index);
        let line = reader.line_of(element);
        let DeValue::Table(table) = element.get_ref() else {
            let message = format!(
                "found {}, expected a table",
                article(element.get_ref().type_str())
            );
            reader.tell(codes::WRONG_VALUE, line, &at, message, next);
            continue;
        };
        reader.refuse_unknown(table, &fields, &at);
        if let Some(settings) =
            reader.read::<NotifySettings>(&catalog.notify, table.clone(), &at, line)
        {
            tell_problems(reader, settings.problems(), &at, line);
            all.push(settings);
        }
    }
    all
}

