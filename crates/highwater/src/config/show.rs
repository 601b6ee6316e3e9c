//! `config show`: every effective value and where it came from. Owns the listing; a value that came from `${NAME}` is
//! shown as `${NAME}`.

use std::fmt;

use highwater_db::postgres::AdvisoryKey;
use highwater_engine::settings::LockAddress;
use serde::Serialize;
use serde_json::Value as Json;

use super::Config;
use super::catalog::Catalog;
use super::fields::Field;
use super::source::{FieldPath, Origin};
use super::unset::{MigrateConfig, NotifyConfig, ReceiverConfig};

/// Column at which the origins begin, if the value leaves room.
const ORIGIN_COLUMN: usize = 44;

/// Every effective value; displays as TOML with comments, serializes for programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Show {
    file: String,
    #[serde(rename = "values", serialize_with = "flat")]
    tables: Vec<Table>,
}

#[derive(Debug, Clone)]
struct Table {
    heading: Option<String>,
    values: Vec<Shown>,
}

#[derive(Debug, Clone, Serialize)]
struct Shown {
    field: String,
    #[serde(skip)]
    key: String,
    value: Json,
    origin: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
}

fn flat<S: serde::Serializer>(tables: &[Table], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(tables.iter().flat_map(|table| &table.values))
}

/// Lists every effective value of a configuration.
pub(crate) fn show(config: &Config) -> Show {
    let catalog = Catalog::new();
    let json =
        |settings: serde_json::Result<Json>| settings.expect("invariant: settings are texts, numbers and tables");
    let mut tables = vec![Table {
        heading: None,
        values: listed(config, &catalog.top, &FieldPath::default(), &json(serde_json::to_value(&config.top))),
    }];
    for (name, resource) in &config.resources {
        let at = FieldPath::default().join("resource").join(name.as_str());
        let mut settings = resource.settings.clone();
        settings.lock = Some(resource.lock.clone());
        let mut values = listed(config, &catalog.resource, &at, &json(serde_json::to_value(settings)));
        if let (Some(lock), Some(key)) =
            (values.iter_mut().find(|shown| shown.key == "lock"), named_key(&resource.lock))
        {
            lock.origin.push_str(&format!("; in SQL the key {key}"));
        }
        tables.push(Table { heading: Some(format!("[{at}]")), values });
    }
    for job in config.jobs.values() {
        let at = FieldPath::default().join("job").join(job.name.as_str());
        let kind = shown(config, &at.join("kind"), "kind".to_owned(), false, job.kind.name().into());
        let mut values = vec![kind];
        values.extend(listed(config, &catalog.job, &at, &json(serde_json::to_value(&job.settings))));
        let (settings, of_kind) = (json(serde_json::to_value(&job.settings)), json(job.kind.to_json()));
        values.extend(listed(config, catalog.of_kind(job.kind.name()), &at, &of_kind));
        tables.push(Table { heading: Some(format!("[{at}]")), values });
        tables.extend(lists(config, &catalog.job, &at, &settings));
        tables.extend(lists(config, catalog.of_kind(job.kind.name()), &at, &of_kind));
    }
    let raw = |at: &FieldPath| {
        config
            .entries
            .below(at)
            .map(|at| {
                let key = at.as_str().rsplit('.').next().unwrap_or_default().to_owned();
                shown(config, &at, key, false, Json::Null)
            })
            .collect()
    };
    for (what, name) in config.unset_tables() {
        let at = FieldPath::default().join(what).join(name);
        let heading = Some(format!("[{at}]  # lacks an environment variable"));
        tables.push(Table { heading, values: raw(&at) });
    }
    for (index, notify) in config.notify.iter().enumerate() {
        let at = FieldPath::default().join("notify").element(index);
        let NotifyConfig::Known(notify) = notify else {
            let heading = Some("[[notify]]  # lacks an environment variable".to_owned());
            tables.push(Table { heading, values: raw(&at) });
            continue;
        };
        let values = listed(config, &catalog.notify, &at, &json(serde_json::to_value(notify)));
        tables.push(Table { heading: Some("[[notify]]".to_owned()), values });
    }
    let at = FieldPath::default().join("migrate");
    match &config.migrate {
        None => {}
        Some(MigrateConfig::Known(settings)) => {
            let values = listed(config, &catalog.migrate, &at, &json(serde_json::to_value(settings)));
            tables.push(Table { heading: Some("[migrate]".to_owned()), values });
        }
        Some(MigrateConfig::Unset(_)) => {
            let heading = Some("[migrate]  # lacks an environment variable".to_owned());
            tables.push(Table { heading, values: raw(&at) });
        }
    }
    let at = FieldPath::default().join("receiver");
    match &config.receiver {
        None => {}
        Some(ReceiverConfig::Known(settings)) => {
            let settings = json(serde_json::to_value(settings));
            let values = listed(config, &catalog.receiver, &at, &settings);
            tables.push(Table { heading: Some("[receiver]".to_owned()), values });
            tables.extend(lists(config, &catalog.receiver, &at, &settings));
        }
        Some(ReceiverConfig::Unset(_)) => {
            let heading = Some("[receiver]  # lacks an environment variable".to_owned());
            tables.push(Table { heading, values: raw(&at) });
        }
    }
    Show { file: config.file.display().to_string(), tables }
}

/// The tables of lists of them, in their order.
fn lists(config: &Config, fields: &[Field], at: &FieldPath, settings: &Json) -> Vec<Table> {
    let mut tables = Vec::new();
    for field in fields.iter().filter(|field| !field.elements.is_empty()) {
        let at = at.join(&field.name);
        for (index, element) in settings[&field.name].as_array().into_iter().flatten().enumerate() {
            let values = listed(config, &field.elements, &at.element(index), element);
            tables.push(Table { heading: Some(format!("[[{at}]]")), values });
        }
    }
    tables
}

/// The number of an advisory lock that has a name, for SQL that takes the same.
fn named_key(lock: &LockAddress) -> Option<i64> {
    let LockAddress::Advisory(key) = lock else { return None };
    let number = key.as_str().parse::<AdvisoryKey>().ok()?.number();
    (number.to_string() != key.as_str()).then_some(number)
}

fn listed(config: &Config, fields: &[Field], at: &FieldPath, settings: &Json) -> Vec<Shown> {
    listed_within(config, fields, at, "", settings)
}

fn listed_within(config: &Config, fields: &[Field], at: &FieldPath, within: &str, settings: &Json) -> Vec<Shown> {
    let one = |field: &Field| {
        let (at, key) = (at.join(&field.name), format!("{within}{}", field.name));
        let value = &settings[&field.name];
        if field.fields.is_empty() {
            vec![shown(config, &at, key, field.is_place(), value.clone())]
        } else {
            listed_within(config, &field.fields, &at, &format!("{key}."), value)
        }
    };
    // Lists of tables have tables of their own.
    fields.iter().filter(|field| field.elements.is_empty()).flat_map(one).collect()
}

/// A value of the file is shown as the file has it, except that a path is shown as it resolved.
fn shown(config: &Config, at: &FieldPath, key: String, is_place: bool, effective: Json) -> Shown {
    let origin = config.origin(at.as_str());
    let entry = config.entries.get(at.as_str()).filter(|_| matches!(origin, Origin::File(_)));
    let secret = entry.is_some_and(|entry| entry.secret);
    let value = match entry {
        Some(entry) if secret || !is_place => entry.raw.clone(),
        _ => effective,
    };
    Shown { field: at.to_string(), key, value, origin: config.origin_text(origin), secret }
}

impl Config {
    /// Where the effective value of a dotted field came from.
    pub(super) fn origin(&self, field: &str) -> Origin {
        let from_file = || self.entries.line(field).map(Origin::File);
        self.layered.origin(field).or_else(from_file).unwrap_or(Origin::Default)
    }

    fn origin_text(&self, origin: Origin) -> String {
        match origin {
            Origin::Flag => "flag".to_owned(),
            Origin::Environment(variable) => format!("environment ({variable})"),
            Origin::File(line) => {
                let name = self.file.file_name().unwrap_or(self.file.as_os_str());
                format!("{}:{line}", name.to_string_lossy())
            }
            Origin::Default => "default".to_owned(),
        }
    }
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.file)?;
        for table in &self.tables {
            if let Some(heading) = &table.heading {
                writeln!(f, "\n{heading}")?;
            }
            for Shown { key, value, origin, .. } in &table.values {
                if value.is_null() {
                    writeln!(f, "# {key}: not set")?;
                } else {
                    let line = format!("{key} = {}", toml_text(value));
                    writeln!(f, "{line:<ORIGIN_COLUMN$} # {origin}")?;
                }
            }
        }
        Ok(())
    }
}

/// A value as TOML writes it on one line; null, which TOML lacks, as nothing.
pub(super) fn toml_text(value: &Json) -> String {
    toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default()
}
