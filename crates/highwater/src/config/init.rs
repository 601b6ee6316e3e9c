//! `init`: a configuration that runs as it is, beside the worklist it drains. Owns what is written, which is the folder
//! `examples/quickstart`, and that nothing of anyone else's is touched.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;

use super::codes;
use super::find::FILE_NAME;

/// The files of a new configuration.
const FILES: [(&str, &str); 2] = [
    (FILE_NAME, include_str!("../../../../examples/quickstart/highwater.toml")),
    ("names.txt", include_str!("../../../../examples/quickstart/names.txt")),
];
const IGNORE_FILE: &str = ".gitignore";
const IGNORED: &str = include_str!("../../../../examples/quickstart/.gitignore");
const STATE_DIRECTORY: &str = ".highwater-state";

/// The state is the owner's alone: an item's key or error may be private.
const STATE_DIRECTORY_MODE: u32 = 0o700;

/// What `init` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Initialised {
    /// The new configuration.
    pub(crate) config: PathBuf,
    /// Files and directories that are new.
    pub(crate) created: Vec<PathBuf>,
    /// A file of the user's that got lines at its end.
    pub(crate) extended: Option<PathBuf>,
}

/// Writes a configuration, a worklist, a state directory and a `.gitignore` into `directory`, which is made if it is not
/// there. A `.gitignore` that is there gets the lines it lacks.
///
/// # Errors
/// A refusal that names the file that is already there, before anything is written; a failure of the disk, after which
/// what was written is removed again.
pub(crate) fn init(directory: &Path) -> Result<Initialised, Diagnosis> {
    for name in FILES.map(|(name, _)| name) {
        let path = directory.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Diagnosis::refusal(
                codes::INIT_EXISTS,
                "found a file here already, and `init` overwrites nothing",
                "use it as it is, remove it, or name another directory: `highwater init DIR`",
            )
            .in_file(path));
        }
    }
    let mut made = Initialised { config: directory.join(FILE_NAME), created: Vec::new(), extended: None };
    write_all(directory, &mut made).map_err(|(path, error)| {
        remove(&made.created);
        Diagnosis::failure(
            codes::INIT_FAILED,
            format!("found a place that cannot be written ({error}), expected a directory of yours"),
            "correct the path or its permissions, then run `highwater init` again; nothing was left behind",
        )
        .in_file(path)
    })?;
    Ok(made)
}

type Failed = (PathBuf, io::Error);

fn write_all(directory: &Path, made: &mut Initialised) -> Result<(), Failed> {
    make_directories(directory, made)?;
    for (name, text) in FILES {
        create(directory.join(name), text, made)?;
    }
    let state = directory.join(STATE_DIRECTORY);
    match DirBuilder::new().mode(STATE_DIRECTORY_MODE).create(&state) {
        Ok(()) => made.created.push(state),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && state.is_dir() => {}
        Err(error) => return Err((state, error)),
    }
    let ignore = directory.join(IGNORE_FILE);
    if ignore.symlink_metadata().is_err() {
        return create(ignore, IGNORED, made);
    }
    if extend(&ignore).map_err(|error| (ignore.clone(), error))? {
        made.extended = Some(ignore);
    }
    Ok(())
}

fn make_directories(directory: &Path, made: &mut Initialised) -> Result<(), Failed> {
    let missing: Vec<_> =
        directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    for path in missing.into_iter().rev() {
        fs::create_dir(path).map_err(|error| (path.to_owned(), error))?;
        made.created.push(path.to_owned());
    }
    Ok(())
}

fn create(path: PathBuf, text: &str, made: &mut Initialised) -> Result<(), Failed> {
    let opened = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = opened.map_err(|error| (path.clone(), error))?;
    made.created.push(path.clone());
    file.write_all(text.as_bytes()).map_err(|error| (path, error))
}

/// Adds the lines that are not there yet; says whether there were any.
fn extend(path: &Path) -> io::Result<bool> {
    let text = fs::read(path)?;
    let has = |line: &str| text.split(|byte| *byte == b'\n').any(|known| known.trim_ascii() == line.as_bytes());
    let mut missing: String = IGNORED.lines().filter(|line| !has(line)).map(|line| format!("{line}\n")).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    if !text.is_empty() && !text.ends_with(b"\n") {
        missing.insert(0, '\n');
    }
    OpenOptions::new().append(true).open(path)?.write_all(missing.as_bytes())?;
    Ok(true)
}

/// Takes back what was made, the last first; what cannot be removed stays.
fn remove(created: &[PathBuf]) {
    for path in created.iter().rev() {
        let removed = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        if let Err(error) = removed {
            tracing::warn!(path = %path.display(), %error, "what init had written could not be removed");
        }
    }
}
