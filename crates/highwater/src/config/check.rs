//! What must hold between the tables: declared resources, one lock a resource, one marker directory a job, directories of shippers that
//! are apart, a place for the log, a ledger that remembers as long as it must. Owns these rules; a value on its own was checked when it was read.

use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use highwater_db::postgres::{Address, AdvisoryKey};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::name::{JobName, ResourceName};
use highwater_engine::settings::{DurationText, LockAddress};

use super::places::check_places;
use super::source::{FieldPath, Origin, SourceFile};
use super::suggest::suggestion;
use super::{Config, JobConfig, KindSettings, ResourceConfig, codes};

/// Every rule that the configuration breaks.
pub(super) fn check(config: &Config, file: &SourceFile) -> Vec<Diagnosis> {
    let mut errors = Vec::new();
    for job in config.jobs.values() {
        check_resources(config, job, file, &mut errors);
        check_kept(config, job, file, &mut errors);
    }
    check_locks(config, file, &mut errors);
    check_markers(config, file, &mut errors);
    check_places(config, file, &mut errors);
    check_log_directory(config, file, &mut errors);
    // Names and paths may have come from `${NAME}`.
    errors.into_iter().map(|error| config.redacted(error)).collect()
}

fn job_field(job: &JobConfig, key: &str) -> FieldPath {
    FieldPath::default().join("job").join(job.name.as_str()).join(key)
}

fn check_resources(config: &Config, job: &JobConfig, file: &SourceFile, errors: &mut Vec<Diagnosis>) {
    let at = job_field(job, "resources");
    let line = config.entries.line(at.as_str()).unwrap_or(job.line);
    let mut seen = Vec::new();
    for name in &job.settings.resources {
        if seen.contains(&name) {
            let message = format!("found `{name}` twice, expected each resource once");
            errors.push(file.refusal(codes::CONTRADICTION, line, at.as_str(), message, "remove the second"));
            continue;
        }
        seen.push(name);
        let own = *name == ResourceName::of_job(&job.name);
        let declared = config.resources.get(name).is_some_and(|resource| own || resource.line.is_some());
        if !declared {
            let known = config.resources.iter().filter(|(_, resource)| resource.line.is_some());
            let next = match suggestion(name.as_str(), known.map(|(known, _)| known.as_str())) {
                Some(known) => format!("did you mean `{known}`?"),
                None if JobName::new(name.as_str()).is_ok() => {
                    format!("add `[resource.{name}]`; its keys all have defaults")
                }
                None => "add a `[resource.NAME]`, and name it in every job that shares it".to_owned(),
            };
            let message = format!("found the resource `{name}`, which no `[resource.…]` declares");
            errors.push(file.refusal(codes::UNDECLARED_RESOURCE, line, at.as_str(), message, next));
        }
    }
}

/// What is kept for as long as the ledger remembers that it was received would be kept for ever.
fn check_kept(config: &Config, job: &JobConfig, file: &SourceFile, errors: &mut Vec<Diagnosis>) {
    let KindSettings::Ship(settings) = &job.kind else { return };
    let remembered = DurationText::days(config.top.keep_days.get());
    let Some(time) = settings.keep_time.filter(|time| *time >= remembered) else { return };
    let at = job_field(job, "keep-time");
    let line = config.entries.line(at.as_str()).unwrap_or(job.line);
    let message = format!(
        "found {time}, expected less than `keep-days`, {remembered}: after that the ledger no longer knows what was received, and nothing would go"
    );
    errors.push(file.refusal(codes::CONTRADICTION, line, at.as_str(), message, "lower it, or raise `keep-days`"));
}

/// The first to claim each place, for telling the second.
struct Claims<K, V>(HashMap<K, V>);

impl<K: Hash + Eq, V: Copy> Claims<K, V> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    /// Whoever claimed the place before, if anyone did.
    fn claim(&mut self, place: K, by: V) -> Option<V> {
        let before = self.0.get(&place).copied();
        self.0.entry(place).or_insert(by);
        before
    }
}

/// Most symbolic links that lead to a file which is not there yet; the kernel follows as many.
const LINKS_MAX: usize = 40;

/// The path as the file system knows it: symbolic links followed, also to a file that is not there yet.
fn canonical(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Ok(real) = fs::canonicalize(&path) {
            return real;
        }
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    let through_parent = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    through_parent().unwrap_or(path)
}

/// Two resources that share a lock would wait for each other while a pass that takes both could never start.
fn check_locks(config: &Config, file: &SourceFile, errors: &mut Vec<Diagnosis>) {
    let mut by_path = Claims::new();
    let mut by_inode = Claims::new();
    let mut by_key = Claims::new();
    for (name, resource) in &config.resources {
        let at = FieldPath::default().join("resource").join(name.as_str()).join("lock");
        let line = config.entries.line(at.as_str()).or(resource.line).unwrap_or(1);
        let mut tell = |code, message: String, next: String| {
            errors.push(file.refusal(code, line, at.as_str(), message, next));
        };
        let (first, how) = match &resource.lock {
            LockAddress::File(path) => {
                let identity = fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
                let same_path = by_path.claim(canonical(path), (name, path));
                let same_inode = identity.and_then(|identity| by_inode.claim(identity, (name, path)));
                let Some((first, first_path)) = same_path.or(same_inode) else { continue };
                let how = match (first_path == path, same_path) {
                    (true, _) => String::new(),
                    (false, Some(_)) => format!(" ({first_path} and {path} are one path)"),
                    (false, None) => format!(" ({first_path} and {path} are one file by a hard link)"),
                };
                (first, how)
            }
            LockAddress::Advisory(key) => {
                let place = match advisory_place(resource) {
                    Ok(place) => place,
                    Err((message, next)) => {
                        tell(codes::CONTRADICTION, message, next);
                        continue;
                    }
                };
                let number = key.as_str().parse::<AdvisoryKey>().map(|key| key.number()).unwrap_or_default();
                let Some((first, first_key)) = by_key.claim((place, number), (name, key)) else { continue };
                let how =
                    if first_key == key { String::new() } else { format!(" ({first_key} and {key} are one key)") };
                (first, how)
            }
        };
        let message = format!("found the lock that resource `{first}` has too{how}, expected one of its own");
        let next = format!("change one of the two, or name one resource in both jobs: `resources = [\"{first}\"]`");
        tell(codes::SHARED_LOCK, message, next);
    }
}

/// The server and database of an advisory lock; else what is wrong with it and what to do.
fn advisory_place(resource: &ResourceConfig) -> Result<String, (String, String)> {
    let name_one = "add `lock-database = \"postgres://…\"` to the resource";
    match resource.lock_databases.as_slice() {
        [database] => match database.expose().parse::<Address>() {
            Ok(address) => Ok(address.place()),
            Err(error) => Err((
                format!("found an advisory lock of PostgreSQL in {database}, expected a PostgreSQL database: {error}"),
                format!("{name_one}, or lock a file"),
            )),
        },
        [] => Err((
            "found an advisory lock of PostgreSQL, and no job with a database that names the resource".to_owned(),
            name_one.to_owned(),
        )),
        several => Err((
            format!(
                "found an advisory lock for jobs in {} databases, expected one: a lock lives in one",
                several.len()
            ),
            format!("{name_one}, or give each database a resource of its own"),
        )),
    }
}

fn check_markers(config: &Config, file: &SourceFile, errors: &mut Vec<Diagnosis>) {
    let mut claims = Claims::new();
    for job in config.jobs.values() {
        let Some(markers) = &job.settings.markers else {
            continue;
        };
        let Some(first) = claims.claim(canonical(markers), &job.name) else {
            continue;
        };
        let at = job_field(job, "markers");
        let line = config.entries.line(at.as_str()).unwrap_or(job.line);
        let message =
            format!("found the directory that job `{first}` keeps its markers in too, expected one of its own");
        let next = "give each job its own directory: `.done` and `.halted` do not say whose they are";
        errors.push(file.refusal(codes::SHARED_MARKERS, line, at.as_str(), message, next));
    }
}

fn check_log_directory(config: &Config, file: &SourceFile, errors: &mut Vec<Diagnosis>) {
    let Some(log_file) = &config.top.log_file else {
        return;
    };
    let directory = log_file.parent().unwrap_or(Path::new("/"));
    if directory.is_dir() {
        return;
    }
    let message =
        format!("found a log file in {}, which is no directory; expected one that exists", directory.display());
    let next = format!("create it (`mkdir -p {}`), or correct the path", directory.display());
    let error = Diagnosis::refusal(codes::LOG_DIRECTORY, message, next);
    errors.push(match config.origin("log-file") {
        Origin::Flag => error.at_field("--log-file"),
        Origin::Environment(variable) => error.at_field(variable),
        Origin::File(line) => error.in_file(&file.path).at_line(line).at_field("log-file"),
        Origin::Default => error.in_file(&file.path).at_field("log-file"),
    });
}
