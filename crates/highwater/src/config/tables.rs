//! The tables `resource`, `job`, `notify`, `migrate` and `receiver`: their shape, the names in them, and how a job's keys divide between every
//! job's and its kind's. Owns what is said of a table; the values in it are [`super::read`]'s.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::settings::{JobSettings, NotifySettings, Problem, ResourceSettings};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_rollup::migrate::MigrateSettings;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fields::Field;
use super::kind::{KINDS, Kind};
use super::read::{Reader, article};
use super::source::FieldPath;
use super::suggest::{one_of, suggestion};
use super::unset::{MigrateConfig, NotifyConfig, ReceiverConfig, Single, UnsetJob};
use super::{JobConfig, codes, throttle};

/// A key of the file with its value, if the file has it.
pub(super) type Entry<'i> = Option<(Spanned<DeString<'i>>, Spanned<DeValue<'i>>)>;

/// A table of the file with its name, its field and its line.
struct Named<'i> {
    name: JobName,
    table: DeTable<'i>,
    at: FieldPath,
    line: u64,
}

/// Reads `[resource.NAME]`; each with the line of its table and what it lacks here.
pub(super) fn read_resources(reader: &mut Reader<'_>, resources: Entry<'_>) -> Vec<ReadResource> {
    let fields = &reader.catalog.resource;
    let known: Vec<_> = fields.iter().collect();
    let mut all = Vec::new();
    for Named { name, table, at, line } in named(reader, resources, "resource") {
        reader.refuse_unknown(&table, &known, &at);
        let name = ResourceName::new(name.as_str()).expect("invariant: a job's name is a resource's too");
        let faults = reader.interpolated.claim_unset(&table);
        if !faults.is_empty() {
            reader.read::<ResourceSettings>(fields, table, &at, line);
            all.push(ReadResource::Unset(name, faults));
        } else if let Some(settings) = reader.read::<ResourceSettings>(fields, table, &at, line) {
            all.push(ReadResource::Known(name, settings, line));
        }
    }
    all
}

/// A resource as it was read.
pub(super) enum ReadResource {
    Known(ResourceName, ResourceSettings, u64),
    Unset(ResourceName, Vec<Diagnosis>),
}

/// A job as it was read.
pub(super) enum ReadJob {
    Known(Box<JobConfig>),
    Unset(JobName, Box<UnsetJob>),
}

/// Reads `[job.NAME]`.
pub(super) fn read_jobs(reader: &mut Reader<'_>, jobs: Entry<'_>) -> Vec<ReadJob> {
    named(reader, jobs, "job").into_iter().filter_map(|job| read_job(reader, job)).collect()
}

/// The tables below `[what]` that have a name and are tables.
fn named<'i>(reader: &mut Reader<'_>, tables: Entry<'i>, what: &str) -> Vec<Named<'i>> {
    let Some((key, value)) = tables else {
        return Vec::new();
    };
    let at = FieldPath::default().join(what);
    let next = |name: &str| format!("write `[{what}.{name}]` on a line of its own, its keys on the lines below");
    let line = reader.line_of(&key);
    let DeValue::Table(tables) = value.get_ref() else {
        wrong_type(reader, line, &at, &value, "a table", next("NAME"));
        return Vec::new();
    };
    let mut all = Vec::new();
    for (key, value) in tables {
        let (line, at) = (reader.line_of(key), at.join(key.get_ref()));
        match (JobName::new(key.get_ref().as_ref()), value.get_ref()) {
            (Ok(name), DeValue::Table(table)) => all.push(Named { name, table: table.clone(), at, line }),
            (Ok(name), _) => wrong_type(reader, line, &at, value, "a table", next(name.as_str())),
            (Err(error), _) => {
                let message = format!("found {} as the name of a {what}, expected {}", error.found, error.expected);
                reader.tell(codes::BAD_NAME, line, &at, message, format!("rename the {what}"));
            }
        }
    }
    all
}

fn wrong_type(
    reader: &mut Reader<'_>,
    line: u64,
    at: &FieldPath,
    found: &Spanned<DeValue<'_>>,
    expected: &str,
    next: impl Into<String>,
) {
    let message = format!("found {}, expected {expected}", article(found.get_ref().type_str()));
    reader.tell(codes::WRONG_VALUE, line, at, message, next);
}

/// Splits a job's table between the fields of every job and those of its kind.
fn read_job(reader: &mut Reader<'_>, job: Named<'_>) -> Option<ReadJob> {
    let Named { name, mut table, at, line } = job;
    let catalog = reader.catalog;
    let kind = read_kind(reader, table.remove_entry("kind"), &at, line);
    let of_kinds = catalog.kinds.iter().filter(|(known, _)| kind.is_none_or(|kind| kind.name == known.name));
    let known: Vec<_> = catalog.job.iter().chain(of_kinds.flat_map(|(_, fields)| fields)).collect();
    let errors_before = reader.errors.len();
    reader.refuse_unknown(&table, &known, &at);
    let all_known = reader.errors.len() == errors_before;
    // Which kind it is must be known to say anything of it.
    let faults = kind.map(|_| reader.interpolated.claim_unset(&table)).unwrap_or_default();
    if let (Some(kind), false) = (kind, faults.is_empty()) {
        let errors = reader.errors.len();
        (kind.read)(reader, catalog.of_kind(kind.name), table.clone(), &at, line);
        reader.read::<JobSettings>(&catalog.job, table.clone(), &at, line);
        let settings = (reader.errors.len() == errors)
            .then(|| reader.read::<JobSettings>(&catalog.job, without_failed(reader, table), &at, line))
            .flatten()?;
        return Some(ReadJob::Unset(name, Box::new(UnsetJob { kind: kind.name, settings, faults, line })));
    }
    let settings = reader.read::<JobSettings>(&catalog.job, table.clone(), &at, line);
    let kind = kind.and_then(|kind| (kind.read)(reader, catalog.of_kind(kind.name), table, &at, line));
    let (mut settings, kind) = (settings?, kind?);
    kind.settle_defaults(&mut settings, |field| {
        let at = field.split('.').fold(at.clone(), |at, field| at.join(field));
        reader.entries.line(at.as_str()).is_some()
    });
    // What a key that is not known was meant to say may be what else is amiss.
    if all_known {
        tell_problems(reader, kind.problems(), &at, line);
        tell_problems(reader, throttle::problems(&settings, &kind), &at, line);
    }
    Some(ReadJob::Known(Box::new(JobConfig { name, settings, kind, line })))
}

/// The table without the values that lack a variable.
fn without_failed<'i>(reader: &Reader<'_>, table: DeTable<'i>) -> DeTable<'i> {
    table.into_iter().filter(|(_, value)| !reader.interpolated.failed_in(value)).collect()
}

fn read_kind(reader: &mut Reader<'_>, kind: Entry<'_>, at: &FieldPath, line: u64) -> Option<&'static Kind> {
    let at = at.join("kind");
    let known = || KINDS.iter().map(|kind| kind.name);
    let expected = one_of(known());
    let Some((key, value)) = kind else {
        let message = format!("found no `kind`, expected {expected}");
        reader.tell(codes::MISSING_KEY, line, &at, message, format!("add `kind = \"{}\"`", KINDS[0].name));
        return None;
    };
    reader.remember(&key, &value, &at);
    let line = reader.line_of(&key);
    if reader.interpolated.failed_in(&value) {
        return None;
    }
    let Some(name) = value.get_ref().as_str() else {
        wrong_type(reader, line, &at, &value, &expected, "write the kind in quotes");
        return None;
    };
    let kind = Kind::named(name);
    if kind.is_none() {
        let found = reader.interpolated.secret_in(&value).unwrap_or(name);
        let message = format!("found the kind {found:?}, expected {expected}");
        let next = match suggestion(name, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "correct the kind".to_owned(),
        };
        reader.tell(codes::UNKNOWN_KIND, line, &at, message, next);
    }
    kind
}

/// Reads `[[notify]]`.
pub(super) fn read_notify(reader: &mut Reader<'_>, notify: Entry<'_>) -> Vec<NotifyConfig> {
    let Some((key, value)) = notify else {
        return Vec::new();
    };
    let at = FieldPath::default().join("notify");
    let fields = &reader.catalog.notify;
    let known: Vec<_> = fields.iter().collect();
    let next = "write `[[notify]]`, with two brackets, above the keys of each";
    let line = reader.line_of(&key);
    let DeValue::Array(array) = value.get_ref() else {
        wrong_type(reader, line, &at, &value, "a list of tables", next);
        return Vec::new();
    };
    let mut all = Vec::new();
    for (index, element) in array.iter().enumerate() {
        let (line, at) = (reader.line_of(element), at.element(index));
        let DeValue::Table(table) = element.get_ref() else {
            wrong_type(reader, line, &at, element, "a table", next);
            continue;
        };
        reader.refuse_unknown(table, &known, &at);
        let faults = reader.interpolated.claim_unset(table);
        if !faults.is_empty() {
            // What of it can be read is checked all the same.
            reader.read::<NotifySettings>(fields, table.clone(), &at, line);
            let rest = without_failed(reader, table.clone());
            let on = reader.read::<NotifySettings>(fields, rest, &at, line).map(|settings| settings.on);
            all.push(NotifyConfig::Unset { on: on.unwrap_or_default(), faults });
        } else if let Some(settings) = reader.read::<NotifySettings>(fields, table.clone(), &at, line) {
            tell_problems(reader, settings.problems(), &at, line);
            all.push(NotifyConfig::Known(settings));
        }
    }
    all
}

/// Reads `[migrate]`.
pub(super) fn read_migrate(reader: &mut Reader<'_>, migrate: Entry<'_>) -> Option<MigrateConfig> {
    let fields = &reader.catalog.migrate;
    read_single(reader, migrate, "migrate", fields, MigrateSettings::problems)
}

/// Reads `[receiver]`.
pub(super) fn read_receiver(reader: &mut Reader<'_>, receiver: Entry<'_>) -> Option<ReceiverConfig> {
    let fields = &reader.catalog.receiver;
    read_single(reader, receiver, "receiver", fields, ReceiverSettings::problems)
}

fn read_single<S: DeserializeOwned>(
    reader: &mut Reader<'_>,
    entry: Entry<'_>,
    name: &str,
    fields: &[Field],
    problems: impl Fn(&S) -> Vec<Problem>,
) -> Option<Single<S>> {
    let (key, value) = entry?;
    let at = FieldPath::default().join(name);
    let known: Vec<_> = fields.iter().collect();
    let line = reader.line_of(&key);
    let DeValue::Table(table) = value.get_ref() else {
        let next = format!("write `[{name}]` on a line of its own, its keys on the lines below");
        wrong_type(reader, line, &at, &value, "a table", &next);
        return None;
    };
    reader.refuse_unknown(table, &known, &at);
    let faults = reader.interpolated.claim_unset(table);
    if !faults.is_empty() {
        // What of it can be read is checked all the same.
        reader.read::<S>(fields, table.clone(), &at, line);
        return Some(Single::Unset(faults));
    }
    let settings = reader.read::<S>(fields, table.clone(), &at, line)?;
    tell_problems(reader, problems(&settings), &at, line);
    Some(Single::Known(settings))
}

/// Tells what is wrong with a table as a whole; `line` is the table's own.
fn tell_problems(reader: &mut Reader<'_>, problems: Vec<Problem>, at: &FieldPath, line: u64) {
    for problem in problems {
        let (table, at) = (at, at.below(&problem.field));
        let entries = &reader.entries;
        // What a table of a list lacks is told where that table begins.
        let element = at.within_element().filter(|element| *element != table.as_str());
        let known = entries.line(at.as_str()).or_else(|| entries.line_within(at.as_str()));
        let line = known.or_else(|| entries.line_within(element?)).unwrap_or(line);
        reader.tell(codes::CONTRADICTION, line, &at, problem.message, problem.next);
    }
}
