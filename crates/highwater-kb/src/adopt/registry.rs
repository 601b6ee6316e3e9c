//! The registry of the older kind: from the SHA-256 of each document to what is known of it. Owns its shape, which grew over time:
//! a row of any age is read as far as it goes, and one that says nothing usable is set aside.

use std::io;

use highwater_fs::{Fs, FsError, RelPath};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AdoptError, REGISTRY};

/// The most bytes of a registry.
const REGISTRY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What the registry says of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The SHA-256 of its bytes; of a document that never was a file here, of its address.
    pub(super) sha256: String,
    /// What its file was called.
    pub(super) file_name: String,
    /// What its pages are called.
    pub(super) stem: String,
    /// Where it came from, if that is known: a path from `/` on, or from the base on.
    pub(super) path: Option<String>,
    /// Where its bytes are.
    pub(super) raw: Option<String>,
    /// Where its text is.
    pub(super) text: Option<String>,
    /// Whether it was read elsewhere, and never was a file here.
    pub(super) is_remote: bool,
}

/// A row as it is written: the oldest have `name` and `type` alone.
#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    doc_name: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    raw_path: Option<String>,
    #[serde(default)]
    source_path: Option<String>,
    #[serde(default)]
    origin: Option<String>,
}

/// A row that cannot be used: what it is called, as far as that is known, and why.
pub(super) type Spoilt = (String, String);

/// The rows in their order, and those that cannot be used.
pub(super) fn read(disk: &dyn Fs) -> Result<(Vec<Row>, Vec<Spoilt>), AdoptError> {
    let path = RelPath::new(REGISTRY).expect("invariant: it is below the root");
    let bytes = match disk.read(&path, REGISTRY_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(AdoptError::None);
        }
        Err(error @ FsError::TooLarge { .. }) => return Err(AdoptError::Registry(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    // Each row is read alone: one that is damaged is not the others' fault.
    let rows: IndexMap<String, Box<RawValue>> =
        serde_json::from_slice(&bytes).map_err(|error| AdoptError::Registry(error.to_string()))?;
    let (mut usable, mut spoilt) = (Vec::with_capacity(rows.len()), Vec::new());
    for (sha256, row) in rows {
        match read_row(&sha256, &row) {
            Ok(row) => usable.push(row),
            Err(why) => spoilt.push((sha256, why)),
        }
    }
    Ok((usable, spoilt))
}

fn read_row(sha256: &str, row: &RawValue) -> Result<Row, String> {
    let mut digest = [0; 32];
    if hex::decode_to_slice(sha256, &mut digest).is_err() {
        return Err("it is called by no SHA-256".to_owned());
    }
    let written: Written =
        serde_json::from_str(row.get()).map_err(|error| format!("its row cannot be read: {error}"))?;
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let name = said(written.name);
    let stem = said(written.doc_name).or_else(|| name.as_deref().map(stem_of)).filter(|stem| !stem.is_empty());
    let Some(stem) = stem else { return Err("its row says no name".to_owned()) };
    let file_name = name.unwrap_or_else(|| stem.clone());
    if !is_one_name(&stem) || stem.len() > highwater_fs::NAME_BYTES_MAX {
        return Err(format!("{stem:?} is the name of no page"));
    }
    Ok(Row {
        sha256: sha256.to_ascii_lowercase(),
        stem,
        path: said(written.path),
        raw: said(written.raw_path),
        text: said(written.source_path),
        is_remote: written.origin.as_deref() == Some("cloud"),
        file_name,
    })
}

/// A file's name without its last suffix, as the older kind takes it.
pub(super) fn stem_of(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() && !stem.ends_with('/') => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// Whether this can be one name in a directory, and stand in a line.
pub(super) fn is_one_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/') && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(json: &str) -> Result<Row, String> {
        read_row(&"ab".repeat(32), serde_json::from_str::<&RawValue>(json).unwrap())
    }

    #[test]
    fn a_row_of_any_age_is_read_as_far_as_it_goes() {
        let oldest = one(r#"{"name": "My paper (v2).pdf", "type": "pdf"}"#).unwrap();
        assert_eq!((oldest.stem.as_str(), oldest.file_name.as_str()), ("My paper (v2)", "My paper (v2).pdf"));
        assert_eq!((oldest.path, oldest.raw, oldest.text), (None, None, None));
        let newest = one(
            r#"{"name": "a.pdf", "doc_name": "a-1f", "type": "long_pdf", "path": "/x/a.pdf", "raw_path": "raw/a-1f.pdf",
                "source_path": "", "doc_id": "7", "added": {"by": "somebody"}}"#,
        )
        .unwrap();
        assert_eq!((newest.stem.as_str(), newest.raw.as_deref(), newest.text), ("a-1f", Some("raw/a-1f.pdf"), None));
        assert_eq!(one(r#"{"name": ".hidden"}"#).unwrap().stem, ".hidden");
    }

    #[test]
    fn a_row_that_says_nothing_usable_is_set_aside_with_the_reason() {
        for (row, says) in [
            ("{}", "says no name"),
            (r#"{"name": ""}"#, "says no name"),
            (r#"{"name": 7}"#, "cannot be read"),
            ("[]", "says no name"),
            ("null", "cannot be read"),
            (r#"{"name": "\udcff.pdf"}"#, "cannot be read"),
            (r#"{"doc_name": "../../etc/passwd"}"#, "is the name of no page"),
            (r#"{"doc_name": "a\nb"}"#, "is the name of no page"),
            (r#"{"doc_name": ".."}"#, "is the name of no page"),
        ] {
            let said = one(row).unwrap_err();
            assert!(said.contains(says), "{row}: {said}");
        }
        let long = format!(r#"{{"doc_name": "{}"}}"#, "x".repeat(300));
        assert!(one(&long).is_err());
        let row = serde_json::from_str::<&RawValue>(r#"{"name": "a"}"#).unwrap();
        assert!(read_row("not a digest", row).unwrap_err().contains("no SHA-256"));
    }
}
