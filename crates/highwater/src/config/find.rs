//! Where the configuration is found: named, else upwards from the working directory, else the system's.
//! Owns the order and the refusal that names all that was tried.

use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;

use super::codes;
use super::environment::Environment;

/// The name of the file.
pub(crate) const FILE_NAME: &str = "highwater.toml";
/// The file of the whole host, tried last.
pub(crate) const SYSTEM_FILE: &str = "/etc/highwater/highwater.toml";
/// The variable that names the file.
pub(crate) const CONFIG_VARIABLE: &str = "HIGHWATER_CONFIG";

/// Most directories that are looked into on the way up.
const DIRECTORIES_MAX: usize = 256;

/// Finds the configuration: `flag`, `$HIGHWATER_CONFIG`, upwards from `working` (absolute), `system`. A file that is named
/// is taken as it is, found or not: reading it tells what is wrong.
///
/// # Errors
/// A refusal that names all that was tried.
pub(crate) fn find(
    flag: Option<&Path>,
    environment: &Environment,
    working: &Path,
    system: &Path,
) -> Result<PathBuf, Diagnosis> {
    if let Some(named) = flag.or_else(|| environment.setting(CONFIG_VARIABLE).map(Path::new)) {
        return Ok(absolute(named, working));
    }
    let upwards = working.ancestors().take(DIRECTORIES_MAX).map(|directory| directory.join(FILE_NAME));
    let tried: Vec<_> = upwards.chain([system.to_owned()]).collect();
    if let Some(found) = tried.iter().find(|path| path.is_file()) {
        return Ok(absolute(found, working));
    }
    let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
    Err(Diagnosis::refusal(
        codes::NOT_FOUND,
        format!(
            "found no configuration; `--config` was not given, `{CONFIG_VARIABLE}` is not set, and there is no {}",
            tried.join(", no ")
        ),
        "write one here with `highwater init`, or name one with `--config FILE`",
    ))
}

/// Absolute, its directory without symbolic links: a directory with two names must not have two state directories. The
/// file itself may be a link into another directory and keeps its own.
fn absolute(path: &Path, working: &Path) -> PathBuf {
    let path: PathBuf = working.join(path).components().collect();
    let canonical = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    canonical().unwrap_or(path)
}
