//! Writing a snapshot: both files, then the manifest, each whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_fs::{FsError, Mode, Op, RealFs, RelPath, Staged, publish_at};
use sha2::{Digest as _, Sha256};

use super::SnapshotFiles;
use super::manifest::{FORMAT, Manifest, Part};
use crate::identifier::Namespace;
use crate::spool::{Crawl, Identifiers, Spool};

/// How much is gathered before it is written, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// What was written.
#[derive(Debug)]
pub struct Exported {
    /// Where.
    pub files: SnapshotFiles,
    /// What the manifest says.
    pub manifest: Manifest,
}

/// Writes a finished crawl as the snapshot that `path` names.
///
/// # Errors
/// [`Diagnosis`] when a file cannot be written; a manifest that is there is then still that of the files before.
pub async fn export(spool: &Spool, crawl: &Crawl, namespace: &Namespace, path: &Path) -> Result<Exported, Diagnosis> {
    let files = SnapshotFiles::named(path)?;
    let targets = [files.active.clone(), files.deleted.clone()];
    let written = spool.with_lists(crawl.id, move |lists| write_parts(&targets, lists)).await?;
    let [active, deleted] = written.ok_or_else(begun_anew)??;
    let manifest = Manifest {
        format: FORMAT,
        crawl: crawl.new.name.clone(),
        base_url: crawl.new.base_url.clone(),
        metadata_prefix: crawl.new.metadata_prefix.clone(),
        set: crawl.new.set.clone(),
        identifier_prefix: namespace.prefix().to_owned(),
        first_response: crawl.first_response_at,
        last_response: crawl.last_response_at,
        active,
        deleted,
    };
    let mut text = serde_json::to_string_pretty(&manifest).expect("invariant: a manifest is text and numbers");
    text.push('\n');
    publish_at(&files.manifest, text.as_bytes(), Mode::Umask).map_err(|e| unwritable(&files.manifest, &e))?;
    Ok(Exported { files, manifest })
}

fn begun_anew() -> Diagnosis {
    Diagnosis::refusal(
        "HW-OAI-004",
        "a pass has begun another crawl meanwhile; expected the one that was finished",
        "call again once that crawl is finished",
    )
}

fn write_parts(
    [active, deleted]: &[PathBuf; 2],
    [live, dead]: [&mut Identifiers<'_>; 2],
) -> Result<[Part; 2], Diagnosis> {
    Ok([write_file(active, live)?, write_file(deleted, dead)?])
}

fn write_file(path: &Path, identifiers: &mut Identifiers<'_>) -> Result<Part, Diagnosis> {
    let failed = |error: FsError| unwritable(path, &error);
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| RelPath::new(name).ok());
    let Some(name) = name else {
        return Err(Diagnosis::refusal(
            "HW-OAI-004",
            "the path ends in no file's name; expected one such as backlog/doab",
            "name the snapshot after its directory",
        )
        .in_file(path));
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk = RealFs::open(directory).map_err(failed)?;
    let mut staged = Staged::create(&disk, &name, Mode::Umask).map_err(failed)?;
    let (mut count, mut hash, mut buffer) = (0, Sha256::new(), Vec::with_capacity(BUFFER_BYTES));
    let mut flush = |buffer: &mut Vec<u8>| {
        hash.update(&*buffer);
        let written = staged.write_all(buffer);
        buffer.clear();
        written.map_err(|source| FsError::Io { op: Op::Write, path: path.to_owned(), source })
    };
    for identifier in identifiers {
        buffer.extend_from_slice(identifier?.as_bytes());
        buffer.push(b'\n');
        count += 1;
        if buffer.len() >= BUFFER_BYTES {
            flush(&mut buffer).map_err(failed)?;
        }
    }
    flush(&mut buffer).map_err(failed)?;
    staged.publish().map_err(failed)?;
    Ok(Part { count, sha256: hex::encode(hash.finalize()) })
}

fn unwritable(path: &Path, error: &FsError) -> Diagnosis {
    Diagnosis::failure(
        "HW-OAI-004",
        with_causes(error),
        "make its directory, let this user write there, free space, and call again",
    )
    .in_file(path)
}
