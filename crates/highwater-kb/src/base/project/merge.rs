//! A person's edit and a new version of one page, brought together where they do not meet. Owns what counts as clean.

use std::ops::Range;

use diffy::{DiffOptions, Line};

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

/// What is outside the markers of a page is a person's, whatever comes between them. Between them is a list: lines of it that were changed
/// beside each other have nothing to do with each other.
fn splice(base: &str, edited: &str, new: &str) -> Option<String> {
    let ((_, was, _), (before, theirs, after), (_, ours, _)) = (marked(base)?, marked(edited)?, marked(new)?);
    let between = if was == theirs { ours.to_owned() } else { line_by_line(was, theirs, ours)? };
    Some(format!("{before}{between}{after}"))
}

/// Lines of a text, and what has their place in another; where nothing goes, it stands before the first of them.
struct Edit {
    lines: Range<usize>,
    new: Vec<String>,
}

/// What makes one text into the other, in order.
fn edits(base: &str, edited: &str) -> Vec<Edit> {
    let patch = DiffOptions::new().set_context_len(0).create_patch(base, edited);
    let edits = patch.hunks().iter().map(|hunk| {
        let range = hunk.old_range();
        // Lines are counted from 1, and where there is none it is said behind which.
        let begin = if range.is_empty() { range.start() } else { range.start() - 1 };
        let new = hunk.lines().iter().filter_map(|line| match line {
            Line::Insert(line) | Line::Context(line) => Some((*line).to_owned()),
            Line::Delete(_) => None,
        });
        Edit { lines: begin..begin + range.len(), new: new.collect() }
    });
    edits.collect()
}

impl Edit {
    /// Whether it does what another does, too.
    fn does(&self, other: &Self) -> bool {
        let is_within = self.lines.start <= other.lines.start && other.lines.end <= self.lines.end;
        let is_there = || match other.new.len() {
            0 => self.new.is_empty(),
            len => self.new.windows(len).any(|window| window == other.new),
        };
        is_within && is_there()
    }
}

/// A list with both changes, theirs first; `None` where both have something else in the place of one line.
fn line_by_line(base: &str, theirs: &str, ours: &str) -> Option<String> {
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let (theirs, ours) = (edits(base, theirs), edits(base, ours));
    let (mut left, mut right) = (theirs.as_slice(), ours.as_slice());
    let (mut merged, mut at) = (String::with_capacity(base.len()), 0);
    loop {
        let edit = match (left, right) {
            ([], []) => break,
            // It was merged before, or both have written the same.
            ([one, ..], [other, others @ ..]) if one.does(other) => {
                right = others;
                continue;
            }
            ([one, rest @ ..], [other, ..]) if other.does(one) => {
                left = rest;
                continue;
            }
            ([one, rest @ ..], []) => {
                left = rest;
                one
            }
            ([one, rest @ ..], [other, ..]) if one.lines.end <= other.lines.start => {
                left = rest;
                one
            }
            ([], [other, others @ ..]) => {
                right = others;
                other
            }
            ([one, ..], [other, others @ ..]) if other.lines.end <= one.lines.start => {
                right = others;
                other
            }
            _ => return None,
        };
        merged.extend(lines.get(at..edit.lines.start)?.iter().copied());
        merged.extend(edit.new.iter().map(String::as_str));
        at = edit.lines.end;
    }
    merged.extend(lines.get(at..)?.iter().copied());
    Some(merged)
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
    }

    /// Between the markers.
    fn list(base: &str, edited: &str, new: &str) -> Option<String> {
        use crate::page::rendered::{BEGIN, END};
        let page = |inner: &str| format!("# A\n{BEGIN}\n{inner}{END}\n");
        let merged = merge(page(base).as_bytes(), page(edited).as_bytes(), page(new).as_bytes())?;
        let merged = String::from_utf8(merged).unwrap();
        let inner = merged.strip_prefix(&format!("# A\n{BEGIN}\n")).unwrap();
        Some(inner.strip_suffix(&format!("{END}\n")).unwrap().to_owned())
    }

    #[test]
    fn lines_of_a_list_that_were_changed_beside_each_other_are_both_taken() {
        let both = |base: &str, edited: &str, new: &str, merged: &str| {
            assert_eq!(list(base, edited, new).as_deref(), Some(merged));
            // Once more changes nothing, nor does who had all of it.
            assert_eq!(list(base, merged, new).as_deref(), Some(merged));
            assert_eq!(list(new, merged, new).as_deref(), Some(merged));
        };
        both("a\nb\n", "a\nB\n", "a\nb\nc\n", "a\nB\nc\n");
        both("a\nb\n", "a\nb\nmine\n", "a\nb\nc\n", "a\nb\nmine\nc\n");
        both("a\nb\nc\n", "a\nc\n", "a\nb\nb2\nc\n", "a\nb2\nc\n");
        both("a\nb\nc\n", "mine\na\nB\nc\n", "x\na\nb\nC\n", "mine\nx\na\nB\nC\n");
        both("a\n", "A\n", "x\na\n", "x\nA\n");
        both("a\nb\n", "b\n", "a\nb\nc\n", "b\nc\n");
        both("", "mine\n", "a\n", "mine\na\n");
        both("a\nb\nc\n", "c\n", "a\nb\n", "");
    }

    #[test]
    fn one_line_of_a_list_that_both_changed_is_no_merge() {
        assert_eq!(list("a\nb\n", "a\nmine\n", "a\nours\n"), None);
        assert_eq!(list("a\nb\nc\n", "a\nc\n", "a\nB\nc\n"), None);
        assert_eq!(list("a\nb\nc\n", "a\nmine\n", "a\nb\nx\nc\n"), None);
    }

    #[test]
    fn bytes_that_are_no_text_are_never_merged() {
        assert_eq!(merge(BASE, b"\xff", BASE), None);
    }
}
