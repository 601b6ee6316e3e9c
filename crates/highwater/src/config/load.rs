//! From the file's text to a [`Config`]: parse, replace variables, read each table, lay the layers over, check.
//! Owns the order of these steps and the shape of the tables `resource`, `job` and `notify`.

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::settings::{FilePath, JobSettings, LockAddress, NotifySettings, Problem, ResourceSettings};
use indexmap::IndexMap;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::catalog::{Catalog, TABLES};
use super::environment::{Environment, Flags};
use super::interpolate::interpolate;
use super::kind::{KINDS, Kind, KindSettings};
use super::read::{Reader, article};
use super::source::{FieldPath, SourceFile};
use super::suggest::{one_of, suggestion};
use super::top::{Layered, TopSettings};
use super::{Config, JobConfig, ResourceConfig, check, codes};

/// Most errors that one reading tells.
pub(crate) const ERRORS_MAX: usize = 50;

/// Reads and checks the configuration at an absolute path.
///
/// # Errors
/// Every mistake that was found, in file order.
pub(crate) fn load(path: &Path, environment: &Environment, flags: &Flags) -> Result<Config, Vec<Diagnosis>> {
    let file = SourceFile::read(path).map_err(|error| vec![error])?;
    let result = parse(&file).and_then(|root| read(root, &file, environment, flags));
    result.map_err(|mut errors| {
        errors.sort_by_key(|error| error.line);
        errors.truncate(ERRORS_MAX);
        errors
    })
}

fn parse(file: &SourceFile) -> Result<DeTable<'_>, Vec<Diagnosis>> {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    if errors.is_empty() {
        return Ok(root.into_inner());
    }
    let tell = |error: &toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = format!("column {}: not TOML: {}", file.column(offset), error.message());
        let next = "correct the line; a text stands in quotes, a table's name in brackets, a key once";
        Diagnosis::refusal(codes::SYNTAX, message, next).in_file(&file.path).at_line(file.line(offset))
    };
    Err(errors.iter().map(tell).collect())
}

fn read(
    mut root: DeTable<'_>,
    file: &SourceFile,
    environment: &Environment,
    flags: &Flags,
) -> Result<Config, Vec<Diagnosis>> {
    let catalog = Catalog::new();
    let mut reader = Reader::new(file, &catalog);
    let Reader { interpolated, errors, .. } = &mut reader;
    for (key, value) in root.iter_mut() {
        interpolate(value, &FieldPath::default().join(key.get_ref()), file, environment, interpolated, errors);
    }
    let layered = Layered::of(flags, environment, errors);

    let tables = TABLES.map(|name| root.remove_entry(name));
    let [resources, jobs, notify] = tables;
    let resources = read_named(&mut reader, resources, "resource", |reader, name, table, at, line| {
        reader.refuse_unknown(&table, &catalog.resource.iter().collect::<Vec<_>>(), at);
        let settings = reader.read::<ResourceSettings>(&catalog.resource, table, at, line)?;
        Some((ResourceName::new(name.as_str()).ok()?, settings, line))
    });
    let jobs = read_named(&mut reader, jobs, "job", |reader, name, table, at, line| {
        read_job(reader, &catalog, name, table, at, line)
    });
    let notify = read_notify(&mut reader, &catalog, notify);
    refuse_unknown_at_top(&mut reader, &catalog, &root);
    let top = reader.read::<TopSettings>(&catalog.top, root, &FieldPath::default(), 1);

    let Some(top) = top.filter(|_| reader.errors.is_empty()) else { return Err(reader.errors) };
    let config = assemble(file, &reader, Read { top, resources, jobs, notify, layered });
    let errors = check::check(&config, file);
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

fn refuse_unknown_at_top(reader: &mut Reader<'_>, catalog: &Catalog, root: &DeTable<'_>) {
    let fields: Vec<_> = catalog.top.iter().map(|field| field.name.as_str()).collect();
    let known = || fields.iter().copied().chain(TABLES);
    for key in root.keys().filter(|key| !fields.contains(&key.get_ref().as_ref())) {
        reader.unknown_key(key, known(), &FieldPath::default());
    }
}

type Entry<'i> = Option<(Spanned<DeString<'i>>, Spanned<DeValue<'i>>)>;

/// Reads `[what.NAME]`, each with `read_one`.
fn read_named<'i, T>(
    reader: &mut Reader<'_>,
    tables: Entry<'i>,
    what: &str,
    mut read_one: impl FnMut(&mut Reader<'_>, JobName, DeTable<'i>, &FieldPath, u64) -> Option<T>,
) -> Vec<T> {
    let Some((key, value)) = tables else { return Vec::new() };
    let at = FieldPath::default().join(what);
    let refuse = |reader: &mut Reader<'_>, line: u64, at: &FieldPath, found: &DeValue<'_>, name: &str| {
        let message = format!("found {}, expected a table", article(found.type_str()));
        let next = format!("write `[{what}.{name}]` on a line of its own, its keys on the lines below");
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
                let message = format!("found {} as the name of a {what}, expected {}", error.found, error.expected);
                reader.tell(codes::BAD_NAME, line, &at, message, format!("rename the {what}"));
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
fn read_job(
    reader: &mut Reader<'_>,
    catalog: &Catalog,
    name: JobName,
    mut table: DeTable<'_>,
    at: &FieldPath,
    line: u64,
) -> Option<JobConfig> {
    let kind = read_kind(reader, table.remove_entry("kind"), at, line);
    let of_kinds = catalog.kinds.iter().filter(|(known, _)| kind.is_none_or(|kind| kind.name == known.name));
    let known: Vec<_> = catalog.job.iter().chain(of_kinds.flat_map(|(_, fields)| fields)).collect();
    reader.refuse_unknown(&table, &known, at);
    let settings = reader.read::<JobSettings>(&catalog.job, table.clone(), at, line);
    let kind = kind.and_then(|kind| (kind.read)(reader, catalog.of_kind(kind.name), table, at, line));
    let (settings, kind) = (settings?, kind?);
    tell_problems(reader, kind.problems(), at, line);
    Some(JobConfig { name, settings, kind, line })
}

/// Tells what is wrong with a table as a whole; `line` is the table's own.
fn tell_problems(reader: &mut Reader<'_>, problems: Vec<Problem>, at: &FieldPath, line: u64) {
    for problem in problems {
        let at = at.join(problem.field);
        let line = reader.entries.line(at.as_str()).unwrap_or(line);
        reader.tell(codes::CONTRADICTION, line, &at, problem.message, problem.next);
    }
}

fn read_kind(reader: &mut Reader<'_>, kind: Entry<'_>, at: &FieldPath, line: u64) -> Option<&'static Kind> {
    let at = at.join("kind");
    let known = || KINDS.iter().map(|kind| kind.name);
    let expected = format!("expected {}", one_of(known()));
    let Some((key, value)) = kind else {
        let next = format!("add `kind = \"{}\"`", KINDS[0].name);
        reader.tell(codes::MISSING_KEY, line, &at, format!("found no `kind`, {expected}"), next);
        return None;
    };
    reader.remember(&key, &value, &at);
    let line = reader.line_of(&key);
    if reader.interpolated.failed_in(&value) {
        return None;
    }
    let Some(name) = value.get_ref().as_str() else {
        let message = format!("found {}, {expected}", article(value.get_ref().type_str()));
        reader.tell(codes::WRONG_VALUE, line, &at, message, "write the kind in quotes");
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
fn read_notify(reader: &mut Reader<'_>, catalog: &Catalog, notify: Entry<'_>) -> Vec<NotifySettings> {
    let Some((key, value)) = notify else { return Vec::new() };
    let at = FieldPath::default().join("notify");
    let fields: Vec<_> = catalog.notify.iter().collect();
    let line = reader.line_of(&key);
    let next = "write `[[notify]]`, with two brackets, above the keys of each";
    let DeValue::Array(array) = value.get_ref() else {
        let message = format!("found {}, expected a list of tables", article(value.get_ref().type_str()));
        reader.tell(codes::WRONG_VALUE, line, &at, message, next);
        return Vec::new();
    };
    let mut all = Vec::new();
    for (index, element) in array.iter().enumerate() {
        let at = at.element(index);
        let line = reader.line_of(element);
        let DeValue::Table(table) = element.get_ref() else {
            let message = format!("found {}, expected a table", article(element.get_ref().type_str()));
            reader.tell(codes::WRONG_VALUE, line, &at, message, next);
            continue;
        };
        reader.refuse_unknown(table, &fields, &at);
        if let Some(settings) = reader.read::<NotifySettings>(&catalog.notify, table.clone(), &at, line) {
            tell_problems(reader, settings.problems(), &at, line);
            all.push(settings);
        }
    }
    all
}

/// What the file says, each part on its own.
struct Read {
    top: TopSettings,
    resources: Vec<(ResourceName, ResourceSettings, u64)>,
    jobs: Vec<JobConfig>,
    notify: Vec<NotifySettings>,
    layered: Layered,
}

/// Makes paths absolute and gives every resource its lock and every job its resources.
fn assemble(file: &SourceFile, reader: &Reader<'_>, read: Read) -> Config {
    let Read { mut top, resources, jobs, notify, layered } = read;
    let directory: PathBuf = file.path.parent().unwrap_or(Path::new("/")).to_owned();
    layered.lay_over(&mut top);
    top.resolve(&directory);

    let default_lock = |of: &str, name: &str| {
        let file = format!("{name}.lock");
        LockAddress::File(FilePath::new(top.state_dir.join("locks").join(of).join(file)))
    };
    let mut by_name = IndexMap::new();
    for (name, mut settings, line) in resources {
        settings.resolve(&directory);
        let lock = settings.lock.clone().unwrap_or_else(|| default_lock("resource", name.as_str()));
        by_name.insert(name, ResourceConfig { settings, lock, line: Some(line) });
    }
    let mut by_job = IndexMap::new();
    for mut job in jobs {
        job.settings.resolve(&directory);
        job.kind.resolve(&directory);
        if job.settings.resources.is_empty() {
            let own = ResourceName::of_job(&job.name);
            job.settings.resources.push(own.clone());
            let settings = ResourceSettings::default();
            let lock = default_lock("job", job.name.as_str());
            by_name.insert(own, ResourceConfig { settings, lock, line: None });
        }
        by_job.insert(job.name.clone(), job);
    }
    Config {
        file: file.path.clone(),
        directory,
        top,
        resources: by_name,
        jobs: by_job,
        notify,
        entries: reader.entries.clone(),
        layered,
        secrets: reader.interpolated.secrets.clone(),
    }
}
