//! Where a row says that a document's files are, and where it came from. Owns that none of these leads out of where such files are.

use std::path::Path;

use highwater_engine::name::ItemKey;
use highwater_fs::RelPath;

use super::registry::{self, Row};
use crate::origin::Origin;
use crate::path::FilePath;

/// The page that says what it is about.
pub(super) fn summary_of(stem: &str) -> Result<FilePath, String> {
    FilePath::new(format!("wiki/summaries/{stem}.md")).map_err(|fault| format!("its summary: {fault}"))
}

/// Where its bytes should be.
pub(super) fn raw_of(row: &Row) -> Result<FilePath, String> {
    let path = match &row.raw {
        Some(said) => said.clone(),
        None if registry::is_one_name(&row.file_name) => format!("raw/{}", row.file_name),
        None => format!("raw/{}", row.stem),
    };
    let path = FilePath::new(path).map_err(|fault| format!("its file: {fault}"))?;
    match path.as_str().starts_with("raw/") {
        true => Ok(path),
        false => Err(format!("its file: {path} is not below raw/")),
    }
}

/// Where it came from: what is added from there again is this document.
pub(super) fn origin(root: &Path, row: &Row, raw: &FilePath) -> Origin {
    let own = || Origin::of_file(&root.join(raw.as_str()));
    let Some(path) = &row.path else { return own() };
    let origin = if path.starts_with('/') {
        Origin::of_file(Path::new(path))
    } else {
        // An address, or a path of another system.
        let is_here = !path.split('/').next().unwrap_or_default().contains(':') && !path.contains('\\');
        match RelPath::new(path) {
            Ok(path) if is_here => Origin::of_file(&root.join(path.as_path())),
            _ => return own(),
        }
    };
    if ItemKey::new(origin.as_str()).is_ok() { origin } else { own() }
}
