//! A person's edit and a new version of one page, brought together where they do not meet. Owns what counts as clean.

use crate::base::objects::Objects;
use crate::content::ContentId;
use crate::error::KbError;
use crate::page::rendered::marked;
use highwater_fs::FsError;

/// What is longer is not compared line by line, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The bytes of a version as far as they can be merged: it is there, whole, and not too long.
pub(in crate::base) fn version(objects: Objects<'_>, id: ContentId) -> Result<Option<Vec<u8>>, KbError> {
    match objects.read(id, BYTES_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. } | KbError::Fs(FsError::TooLarge { .. })) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The text that has both changes, or `None` where they touch the same lines.
///
/// Bytes that are no UTF-8 are never merged, nor what is longer than it is read for this.
pub(in crate::base) fn merge(base: &[u8], edited: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    if edited.len() as u64 > BYTES_MAX {
        return None;
    }
    let (base, edited, new) = (str::from_utf8(base).ok()?, str::from_utf8(edited).ok()?, str::from_utf8(new).ok()?);
    if let Some(spliced) = splice(base, edited, new) {
        return Some(spliced.into_bytes());
    }
    diffy::merge(base, edited, new).ok().map(String::into_bytes)
}

/// What is outside the markers of a page is a person's, whatever comes between them.
fn splice(base: &str, edited: &str, new: &str) -> Option<String> {
    let ((_, was, _), (before, theirs, after), (_, ours, _)) = (marked(base)?, marked(edited)?, marked(new)?);
    (was == theirs).then(|| format!("{before}{ours}{after}"))
}

#[cfg(test)]
mod tests {
    use super::merge;

    const BASE: &[u8] = b"one\ntwo\nthree\nfour\nfive\n";

    #[test]
    fn edits_of_other_lines_are_both_there() {
        let merged = merge(BASE, b"ONE\ntwo\nthree\nfour\nfive\n", b"one\ntwo\nthree\nfour\nFIVE\nsix\n").unwrap();
        assert_eq!(merged, b"ONE\ntwo\nthree\nfour\nFIVE\nsix\n");
    }

    #[test]
    fn edits_of_one_line_are_no_merge() {
        assert_eq!(merge(BASE, b"one\nTWO\nthree\nfour\nfive\n", b"one\nzwei\nthree\nfour\nfive\n"), None);
    }

    #[test]
    fn what_is_merged_already_stays_as_it_is() {
        let merged = b"ONE\ntwo\nthree\nfour\nFIVE\n".as_slice();
        assert_eq!(merge(BASE, merged, b"one\ntwo\nthree\nfour\nFIVE\n").unwrap(), merged);
    }

    #[test]
    fn outside_the_markers_a_page_is_a_persons() {
        use crate::page::rendered::{BEGIN, END};
        let page = |before: &str, inner: &str, after: &str| format!("{before}{BEGIN}\n{inner}\n{END}{after}");
        let (base, new) = (page("# A\n", "one", "\n"), page("# A\n", "one\ntwo", "\n"));
        let edited = page("mine\n", "one", " and mine");
        let merged = merge(base.as_bytes(), edited.as_bytes(), new.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(merged).unwrap(), page("mine\n", "one\ntwo", " and mine"));
        // Between them it is merged as any other page.
        let edited = page("# A\n", "mine", "\n");
        assert_eq!(merge(base.as_bytes(), edited.as_bytes(), new.as_bytes()), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_never_merged() {
        assert_eq!(merge(BASE, b"\xff", BASE), None);
    }
}
