//! From the file's text to a [`Config`]: parse, replace variables, read each table, lay the layers over, check.
//! Owns the order of these steps, and what a job and a resource come to that leave things out.

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::ResourceName;
use highwater_engine::settings::{FilePath, LockAddress, ResourceSettings};
use indexmap::IndexMap;
use toml::de::DeTable;

use super::catalog::{Catalog, TABLES};
use super::environment::{Environment, Flags};
use super::interpolate::interpolate;
use super::read::Reader;
use super::source::{FieldPath, SourceFile};
use super::tables::{ReadJob, ReadResource, read_jobs, read_migrate, read_notify, read_receiver, read_resources};
use super::top::{Layered, TopSettings};
use super::unset::{MigrateConfig, NotifyConfig, ReceiverConfig, Unset, UnsetJob};
use super::{Config, ResourceConfig, check, codes};

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

/// The state directory of a file that does not read: as flag, variable, its own line, as far as that is plain, or the default
/// name it.
pub(crate) fn state_dir_unread(path: &Path, environment: &Environment, flag: Option<PathBuf>) -> PathBuf {
    let mut told = Vec::new();
    let flags = Flags { state_dir: flag, ..Flags::default() };
    let layered = Layered::of(&flags, environment, &mut told);
    let mut top = TopSettings::default();
    if let Ok(file) = SourceFile::read(path) {
        let (root, _) = DeTable::parse_recoverable(&file.text);
        let named = root.get_ref().get("state-dir").and_then(|value| value.get_ref().as_str());
        if let Some(named) = named.filter(|named| !named.is_empty() && !named.contains('$')) {
            top.state_dir = FilePath::new(named);
        }
    }
    layered.lay_over(&mut top);
    top.resolve(path.parent().unwrap_or(Path::new("/")));
    top.state_dir.to_path_buf()
}

fn parse(file: &SourceFile) -> Result<DeTable<'_>, Vec<Diagnosis>> {
    let (root, errors) = DeTable::parse_recoverable(&file.text);
    if errors.is_empty() {
        return Ok(root.into_inner());
    }
    let offset = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let tell = |error: &toml::de::Error| {
        let offset = offset(error);
        let message = format!("column {}: not TOML: {}", file.column(offset), error.message());
        let next = "correct the line; a text stands in quotes, a table's name in brackets, a key once";
        Diagnosis::refusal(codes::SYNTAX, message, next).in_file(&file.path).at_line(file.line(offset))
    };
    // The first alone: an open bracket or quote makes errors of the lines after it.
    Err(errors.iter().min_by_key(|error| offset(error)).map(tell).into_iter().collect())
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

    let [resources, jobs, notify, migrate, receiver] = TABLES.map(|name| root.remove_entry(name));
    let resources = read_resources(&mut reader, resources);
    let jobs = read_jobs(&mut reader, jobs);
    let notify = read_notify(&mut reader, notify);
    let migrate = read_migrate(&mut reader, migrate);
    let receiver = read_receiver(&mut reader, receiver);
    refuse_unknown_at_top(&mut reader, &root);
    let top = reader.read::<TopSettings>(&catalog.top, root, &FieldPath::default(), 1);
    let unclaimed = reader.interpolated.unclaimed();
    reader.errors.extend(unclaimed);

    let Some(top) = top.filter(|_| reader.errors.is_empty()) else {
        return Err(reader.errors);
    };
    let config = assemble(file, &reader, Read { top, resources, jobs, notify, migrate, receiver, layered });
    let errors = check::check(&config, file);
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

fn refuse_unknown_at_top(reader: &mut Reader<'_>, root: &DeTable<'_>) {
    let fields = || reader.catalog.top.iter().map(|field| field.name.as_str());
    let unknown = root.keys().filter(|key| fields().all(|field| field != key.get_ref().as_ref()));
    for key in unknown.collect::<Vec<_>>() {
        let known = reader.catalog.top.iter().map(|field| field.name.as_str()).chain(TABLES);
        reader.unknown_key(key, known, &FieldPath::default());
    }
}

/// What the file says, each part on its own.
struct Read {
    top: TopSettings,
    resources: Vec<ReadResource>,
    jobs: Vec<ReadJob>,
    notify: Vec<NotifyConfig>,
    migrate: Option<MigrateConfig>,
    receiver: Option<ReceiverConfig>,
    layered: Layered,
}

/// Makes paths absolute and gives every resource its lock and every job its resources.
fn assemble(file: &SourceFile, reader: &Reader<'_>, read: Read) -> Config {
    let Read { mut top, resources, jobs, notify, mut migrate, mut receiver, layered } = read;
    let directory: PathBuf = file.path.parent().unwrap_or(Path::new("/")).to_owned();
    layered.lay_over(&mut top);
    top.resolve(&directory);
    if let Some(MigrateConfig::Known(settings)) = &mut migrate {
        settings.resolve(&directory);
    }
    if let Some(ReceiverConfig::Known(settings)) = &mut receiver {
        settings.resolve(&directory);
    }

    let default_lock = |of: &str, name: &str| {
        let file = format!("{name}.lock");
        LockAddress::File(FilePath::new(top.state_dir.join("locks").join(of).join(file)))
    };
    let mut by_name = IndexMap::new();
    let mut unset = Unset::default();
    for resource in resources {
        let (name, mut settings, line) = match resource {
            ReadResource::Known(name, settings, line) => (name, settings, line),
            ReadResource::Unset(name, faults) => {
                unset.resources.insert(name, faults);
                continue;
            }
        };
        settings.resolve(&directory);
        let lock = settings.lock.clone().unwrap_or_else(|| default_lock("resource", name.as_str()));
        let lock_databases = settings.lock_database.iter().cloned().collect();
        by_name.insert(name, ResourceConfig { settings, lock, lock_databases, line: Some(line) });
    }
    let mut by_job = IndexMap::new();
    for job in jobs {
        let mut job = match job {
            ReadJob::Known(job) => *job,
            ReadJob::Unset(name, mut job) => {
                job.settings.resolve(&directory);
                unset.jobs.insert(name, *job);
                continue;
            }
        };
        let lacking = job.settings.resources.iter().filter_map(|name| unset.resources.get(name));
        let faults: Vec<_> = lacking.flatten().cloned().collect();
        if !faults.is_empty() {
            let (kind, line, mut settings) = (job.kind.name(), job.line, job.settings);
            settings.resolve(&directory);
            unset.jobs.insert(job.name, UnsetJob { kind, settings, faults, line });
            continue;
        }
        job.settings.resolve(&directory);
        job.kind.resolve(&directory);
        let pace = job.kind.default_pace();
        for name in &job.settings.resources {
            let at = FieldPath::default().join("resource").join(name.as_str()).join("pace");
            if let (Some(pace), Some(resource)) = (pace, by_name.get_mut(name))
                && reader.entries.line(at.as_str()).is_none()
            {
                resource.settings.pace = pace;
            }
        }
        if job.settings.resources.is_empty() {
            let own = ResourceName::of_job(&job.name);
            job.settings.resources.push(own.clone());
            let mut settings = ResourceSettings::default();
            settings.pace = pace.unwrap_or(settings.pace);
            let lock = match job.kind.default_lock_key() {
                Some(key) => LockAddress::Advisory(key),
                None => default_lock("job", job.name.as_str()),
            };
            by_name.insert(own, ResourceConfig { settings, lock, lock_databases: Vec::new(), line: None });
        }
        for name in &job.settings.resources {
            if let (Some(resource), Some(database)) = (by_name.get_mut(name), job.kind.database())
                && resource.settings.lock_database.is_none()
                && !resource.lock_databases.contains(database)
            {
                resource.lock_databases.push(database.clone());
            }
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
        migrate,
        receiver,
        unset,
        entries: reader.entries.clone(),
        layered,
        secrets: reader.interpolated.secrets.clone(),
    }
}
