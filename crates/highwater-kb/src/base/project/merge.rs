//! A person's edit and a new version of one page, brought together where they do not meet. Owns what counts as clean.

/// The text that has both changes, or `None` where they touch the same lines.
///
/// Bytes that are no UTF-8 are never merged.
pub(super) fn merge(base: &[u8], edited: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let (base, edited, new) = (str::from_utf8(base).ok()?, str::from_utf8(edited).ok()?, str::from_utf8(new).ok()?);
    diffy::merge(base, edited, new).ok().map(String::into_bytes)
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
    fn bytes_that_are_no_text_are_never_merged() {
        assert_eq!(merge(BASE, b"\xff", BASE), None);
    }
}
