//! Reading a snapshot into a spool: all of it or nothing. Owns what is refused: a pair of two crawls, a malformed line, an
//! identifier that is live and deleted at once, another repository's list.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::SnapshotFiles;
use super::manifest::{FORMAT, Manifest, Part, Versioned};
use crate::discover::Crawling;
use crate::identifier::{IDENTIFIER_BYTES_MAX, beginning};
use crate::spool::{AddHeader, AddedHeader, Crawl, CrawlSource, NewCrawl, Spool};

/// The longest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// Reads a snapshot in place of the crawl that the spool has; the caller holds the job's locks.
///
/// # Errors
/// A refusal, with nothing changed.
pub async fn import(
    spool: &Spool,
    crawling: &Crawling,
    files: SnapshotFiles,
    now: Timestamp,
) -> Result<Crawl, Diagnosis> {
    let manifest = read_manifest(&files.manifest)?;
    if let Some(manifest) = &manifest {
        refuse_other(manifest, crawling, &files.manifest)?;
    }
    let new = NewCrawl {
        name: manifest.as_ref().map_or_else(|| unnamed(&files.active), |manifest| manifest.crawl.clone()),
        source: CrawlSource::Snapshot,
        base_url: crawling.base_url.clone(),
        metadata_prefix: crawling.metadata_prefix.clone(),
        set: crawling.set.clone(),
    };
    let times = manifest.as_ref().map_or([None, None], |m| [m.first_response, m.last_response]);
    let namespace = crawling.namespace.clone();
    let read = move |add: &mut AddHeader<'_>| {
        for (path, deleted) in [(&files.active, false), (&files.deleted, true)] {
            let expected = manifest.as_ref().map(|m| if deleted { &m.deleted } else { &m.active });
            // Other tools leave the prefix on.
            let local = |id: &str| namespace.local_or_bare(id).map(str::to_owned);
            PartFile { path, deleted, expected }.read(add, local)?;
        }
        if add.added() == 0 {
            return Err(refused(
                &files.active,
                "found no identifier in either file, expected at least one".to_owned(),
                "export the snapshot again: with an empty list everything here would look like an orphan",
            ));
        }
        Ok::<_, Diagnosis>(())
    };
    spool.import_crawl(new, times, now, read).await?
}

fn unnamed(active: &Path) -> String {
    active.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn refused(path: &Path, message: String, next: &str) -> Diagnosis {
    Diagnosis::refusal("HW-OAI-005", message, next).in_file(path)
}

const EXPORT_AGAIN: &str = "export the snapshot again where it was crawled, and copy all three files";

fn read_manifest(path: &Path) -> Result<Option<Manifest>, Diagnosis> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file
            .take(MANIFEST_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|e| refused(path, format!("it cannot be read: {e}"), EXPORT_AGAIN))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(refused(path, format!("it cannot be read: {e}"), "let this user read it")),
    };
    let unread = |e: serde_json::Error| {
        let line = u64::try_from(e.line()).unwrap_or(1);
        let what = json_fault(&e);
        refused(path, format!("found {what}; expected the manifest of a snapshot"), EXPORT_AGAIN).at_line(line)
    };
    // What a newer one has besides is not known here, so its format is looked at first.
    let Versioned { format } = serde_json::from_str(&text).map_err(unread)?;
    if format != FORMAT {
        let message = format!("found format {format}, expected {FORMAT}");
        return Err(refused(path, message, "use the highwater that wrote it, or a newer one").at_field("format"));
    }
    Ok(Some(serde_json::from_str(&text).map_err(unread)?))
}

/// What is wrong with a JSON text; where it is is told beside.
pub(crate) fn json_fault(error: &serde_json::Error) -> String {
    let what = error.to_string();
    let at = format!(" at line {} column {}", error.line(), error.column());
    what.strip_suffix(&at).unwrap_or(&what).to_owned()
}

fn refuse_other(manifest: &Manifest, crawling: &Crawling, path: &Path) -> Result<(), Diagnosis> {
    let pairs = [
        ("base-url", &manifest.base_url, &crawling.base_url),
        ("metadata-prefix", &manifest.metadata_prefix, &crawling.metadata_prefix),
        ("set", &manifest.set, &crawling.set),
        ("identifier-prefix", &manifest.identifier_prefix, &crawling.namespace.prefix().to_owned()),
    ];
    match pairs.into_iter().find(|(_, found, expected)| found != expected) {
        None => Ok(()),
        Some((field, found, expected)) => Err(refused(
            path,
            format!("found a snapshot of {found:?}, expected one of {expected:?}, which the job names"),
            "import a snapshot of the job's own repository, or correct the job",
        )
        .at_field(field)),
    }
}

struct PartFile<'f> {
    path: &'f PathBuf,
    deleted: bool,
    expected: Option<&'f Part>,
}

impl PartFile<'_> {
    /// Adds every identifier.
    fn read(&self, add: &mut AddHeader<'_>, local: impl Fn(&str) -> Option<String>) -> Result<(), Diagnosis> {
        let unreadable = |e: std::io::Error| {
            let next = match e.kind() {
                std::io::ErrorKind::NotFound => "correct the snapshot's name, or copy all of its files here",
                _ => "let this user read it, or copy it again",
            };
            refused(self.path, format!("it cannot be read: {e}"), next)
        };
        let mut file = BufReader::new(File::open(self.path).map_err(unreadable)?);
        let (mut hash, mut lines) = (Sha256::new(), 0u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = IDENTIFIER_BYTES_MAX as u64 + 2;
            if (&mut file).take(limit).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                break;
            }
            hash.update(&line);
            lines += 1;
            let whole = line.last() == Some(&b'\n');
            let text = std::str::from_utf8(&line).ok().map(|text| text.trim_end_matches(['\n', '\r']));
            // Other tools leave a byte order mark.
            let text = text.map(|text| if lines == 1 { text.trim_start_matches('\u{feff}') } else { text });
            let malformed = |what: &str| {
                let message = format!("found {what}, expected one identifier and the end of the line");
                refused(self.path, message, EXPORT_AGAIN).at_line(lines)
            };
            if !whole && self.expected.is_some() {
                return Err(malformed("a line without its end"));
            }
            let Some(text) = text else { return Err(malformed("bytes that are no UTF-8")) };
            let Some(id) = local(text) else {
                return Err(malformed(&format!("{:?}", beginning(text))));
            };
            match add.add(&id, self.deleted)? {
                AddedHeader::Twice if self.expected.is_some() => {
                    return Err(malformed(&format!("{id:?} a second time")));
                }
                AddedHeader::New | AddedHeader::Twice => {}
                AddedHeader::Overlap => {
                    return Err(refused(
                        self.path,
                        format!("found {id:?}, which the file of live records has too; a record is live or deleted, not both"),
                        "these are files of two crawls: take both from one",
                    )
                    .at_line(lines));
                }
            }
        }
        if let Some(expected) = self.expected {
            let found = Part { count: lines, sha256: hex::encode(hash.finalize()) };
            if found != *expected {
                return Err(refused(
                    self.path,
                    format!(
                        "found {} lines with SHA-256 {}, expected {} with {}, as the manifest says: the files are not of one crawl, or not whole",
                        found.count, found.sha256, expected.count, expected.sha256
                    ),
                    EXPORT_AGAIN,
                ));
            }
        }
        Ok(())
    }
}
