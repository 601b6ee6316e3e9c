//! A person's edit and a new version of one page, brought together where they do not meet. Owns what counts as clean, and what is whose
//! in a page that is rendered.

use crate::page::rendered::marked;

/// The text that has both changes, or `None` where they touch the same lines.
///
/// Bytes that are no UTF-8 are never merged.
pub(super) fn merge(base: &[u8], edited: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let (base, edited, new) = (str::from_utf8(base).ok()?, str::from_utf8(edited).ok()?, str::from_utf8(new).ok()?);
    diffy::merge(base, edited, new).ok().map(String::into_bytes)
}

/// A rendered page with a person's text outside its markers: what is between them is the base's own, whatever stands there. `None` where
/// a page has not exactly one pair of them.
pub(super) fn spliced(edited: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let (before, _, after) = marked(str::from_utf8(edited).ok()?)?;
    let (_, ours, _) = marked(str::from_utf8(new).ok()?)?;
    Some(format!("{before}{ours}{after}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::{merge, spliced};

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
        let new = page("# A\n", "one\ntwo", "\n");
        for inner in ["one", "of another time", ""] {
            let edited = page("mine\n", inner, " and mine");
            let spliced = spliced(edited.as_bytes(), new.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(spliced).unwrap(), page("mine\n", "one\ntwo", " and mine"));
        }
        // It is not clear what is whose where there is no pair of markers, or a second one.
        let twice = page("", "one", "") + &page("", "two", "");
        for edited in ["mine\n", BEGIN, END, &twice] {
            assert_eq!(spliced(edited.as_bytes(), new.as_bytes()), None, "{edited}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_never_merged() {
        assert_eq!(merge(BASE, b"\xff", BASE), None);
    }
}
