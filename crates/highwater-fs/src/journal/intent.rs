//! The intent as text: what a change is going to do, and how its contents are known.
//!
//! ```text
//! highwater-journal 1
//! write 5 2cf24dba… wiki/concepts/x.md
//! remove wiki/concepts/y%20z.md
//! end 9f86d081…
//! ```
//!
//! The last line is the SHA-256 of those before it. Line 2 + N tells of the content `staged-N`.
//! A person can read it; a program believes it only whole, and a target in it no more than one
//! that a caller gave.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use sha2::{Digest, Sha256};

use crate::RelPath;

/// The most files one change writes and removes.
pub const CHANGE_FILES_MAX: usize = 16_384;

/// The longest intent.
pub const INTENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

const HEADER: &str = "highwater-journal 1\n";

/// The length of the header and the last line, with some to spare.
const FRAME_BYTES_MAX: u64 = 128;

/// The steps of one change, in order, each known to be one that a change may have.
#[derive(Debug)]
pub(super) struct Intent {
    home: RelPath,
    steps: Vec<Step>,
    targets: BTreeSet<RelPath>,
    /// The directories above the targets, which cannot be targets too.
    above: BTreeSet<RelPath>,
    body: String,
}

/// What happens to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Write { target: RelPath, len: u64, sha256: [u8; 32] },
    Remove { target: RelPath },
}

/// Why a target cannot be part of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// It is the root, the journal's directory or in it.
    #[error("it belongs to the journal itself")]
    Reserved,
    /// The change has it already.
    #[error("the change has it twice")]
    Twice,
    /// It is a directory above another target, or below one.
    #[error("the change has another target above or below it")]
    Overlap,
    /// What is there is a directory, a symlink or a device.
    #[error("what is there is not a regular file")]
    NotAFile,
    /// The change is full.
    #[error("a change holds at most {CHANGE_FILES_MAX} files and {INTENT_BYTES_MAX} bytes of intent")]
    TooMany,
}

/// How an intent was damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("the intent is not one of this version")]
    Header,
    #[error("the intent does not end in its SHA-256")]
    Checksum,
    #[error("line {line} of the intent cannot be read")]
    Line { line: usize },
    #[error("line {line} of the intent has a target it must not have")]
    Target { line: usize, source: TargetFault },
}

impl Step {
    pub(super) fn target(&self) -> &RelPath {
        match self {
            Step::Write { target, .. } | Step::Remove { target } => target,
        }
    }
}

impl Intent {
    /// An intent without steps, of the journal in `home`.
    pub(super) fn new(home: RelPath) -> Self {
        let (steps, targets, above) = Default::default();
        Self { home, steps, targets, above, body: HEADER.to_owned() }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Says whether a step on `target` could be added.
    pub(super) fn admit(&self, target: &RelPath) -> Result<(), TargetFault> {
        if target.is_within(&self.home) || self.home.is_within(target) {
            return Err(TargetFault::Reserved);
        }
        if self.targets.contains(target) {
            return Err(TargetFault::Twice);
        }
        if self.above.contains(target) || target.ancestors().any(|dir| self.targets.contains(&dir)) {
            return Err(TargetFault::Overlap);
        }
        Ok(())
    }

    pub(super) fn push(&mut self, step: Step) -> Result<(), TargetFault> {
        self.admit(step.target())?;
        let line = render(&step);
        let bytes = (self.body.len() + line.len()) as u64 + FRAME_BYTES_MAX;
        if self.steps.len() == CHANGE_FILES_MAX || bytes > INTENT_BYTES_MAX {
            return Err(TargetFault::TooMany);
        }
        self.body.push_str(&line);
        self.above.extend(step.target().ancestors());
        self.targets.insert(step.target().clone());
        self.steps.push(step);
        Ok(())
    }

    pub(super) fn render(&self) -> Vec<u8> {
        format!("{}end {}\n", self.body, hex::encode(Sha256::digest(&self.body))).into_bytes()
    }

    pub(super) fn parse(home: RelPath, bytes: &[u8]) -> Result<Self, Damage> {
        let text = str::from_utf8(bytes).map_err(|_| Damage::Header)?;
        if !text.starts_with(HEADER) {
            return Err(Damage::Header);
        }
        let last = text.trim_end_matches('\n').rfind('\n').map_or(0, |newline| newline + 1);
        let (body, end) = text.split_at(last);
        if end != format!("end {}\n", hex::encode(Sha256::digest(body))) {
            return Err(Damage::Checksum);
        }
        let mut intent = Self::new(home);
        for (line, text) in (1..).zip(body.lines()).skip(1) {
            let step = parse(text).ok_or(Damage::Line { line })?;
            intent.push(step).map_err(|source| Damage::Target { line, source })?;
        }
        Ok(intent)
    }
}

fn render(step: &Step) -> String {
    match step {
        Step::Write { target, len, sha256 } => {
            format!("write {len} {} {}\n", hex::encode(sha256), escape(target))
        }
        Step::Remove { target } => format!("remove {}\n", escape(target)),
    }
}

fn parse(line: &str) -> Option<Step> {
    let mut words = line.split(' ');
    let step = match words.next()? {
        "write" => {
            let len = words.next()?.parse().ok()?;
            let mut sha256 = [0; 32];
            hex::decode_to_slice(words.next()?, &mut sha256).ok()?;
            Step::Write { target: unescape(words.next()?)?, len, sha256 }
        }
        "remove" => Step::Remove { target: unescape(words.next()?)? },
        _ => return None,
    };
    words.next().is_none().then_some(step)
}

/// Writes every byte as `%XX` that could end a word or a line, and every one beyond ASCII.
fn escape(path: &RelPath) -> String {
    let mut text = String::new();
    for byte in path.as_path().as_os_str().as_bytes() {
        match byte {
            b'%' => text.push_str("%25"),
            0x21..=0x7e => text.push(char::from(*byte)),
            _ => write!(text, "%{byte:02X}").expect("invariant: a string takes what is written to it"),
        }
    }
    text
}

fn unescape(word: &str) -> Option<RelPath> {
    let (mut bytes, mut rest) = (Vec::new(), word.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return None;
        };
        bytes.extend(hex::decode([*high, *low]).ok()?);
        rest = after;
    }
    RelPath::new(OsString::from_vec(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(bytes: &[u8]) -> RelPath {
        RelPath::new(OsString::from_vec(bytes.to_vec())).unwrap()
    }

    fn home() -> RelPath {
        path(b".highwater/journal")
    }

    fn intent() -> Intent {
        let mut intent = Intent::new(home());
        let content = Sha256::digest(b"hello").into();
        intent.push(Step::Write { target: path(b"wiki/a.md"), len: 5, sha256: content }).unwrap();
        intent.push(Step::Remove { target: path("wiki/b c%\n\u{fc}.md".as_bytes()) }).unwrap();
        intent.push(Step::Remove { target: path(b"raw/\xff") }).unwrap();
        intent
    }

    fn sealed(body: &str) -> Vec<u8> {
        format!("{body}end {}\n", hex::encode(Sha256::digest(body))).into_bytes()
    }

    #[test]
    fn an_intent_is_read_as_it_was_written_whatever_the_names() {
        let intent = intent();
        let read = Intent::parse(home(), &intent.render()).unwrap();
        assert_eq!(read.steps(), intent.steps());
        assert!(str::from_utf8(&intent.render()).unwrap().contains("remove wiki/b%20c%25%0A%C3%BC.md\n"));
    }

    #[test]
    fn r14_no_flipped_bit_and_no_cut_end_passes_for_an_intent() {
        let whole = intent().render();
        for cut in 0..whole.len() {
            assert!(Intent::parse(home(), &whole[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Intent::parse(home(), &flipped).is_err(), "bit {bit}");
        }
        for longer in [b"\n".as_slice(), b"x", &whole] {
            assert!(Intent::parse(home(), &[&whole, longer].concat()).is_err());
        }
    }

    #[test]
    fn r14_an_intent_cannot_name_what_a_caller_could_not() {
        for target in ["../x", "/etc/passwd", "a/../../x", "", "%2e%2e/x", "%2Fetc", "a%00", "a%2", "a%zz"] {
            let forged = sealed(&format!("{HEADER}remove {target}\n"));
            assert_eq!(Intent::parse(home(), &forged).unwrap_err(), Damage::Line { line: 2 }, "{target}");
        }
        let forged = sealed(&format!("{HEADER}remove .highwater/journal/intent\n"));
        let damage = Damage::Target { line: 2, source: TargetFault::Reserved };
        assert_eq!(Intent::parse(home(), &forged).unwrap_err(), damage);
    }

    #[test]
    fn targets_do_not_stand_in_one_another_s_way() {
        let intent = intent();
        for (target, fault) in [
            ("wiki/a.md", TargetFault::Twice),
            ("wiki/a.md/below", TargetFault::Overlap),
            ("wiki", TargetFault::Overlap),
            (".highwater", TargetFault::Reserved),
            (".highwater/journal", TargetFault::Reserved),
            (".highwater/journal/staged-0", TargetFault::Reserved),
        ] {
            assert_eq!(intent.admit(&path(target.as_bytes())), Err(fault), "{target}");
        }
        assert_eq!(intent.admit(&path(b"wiki/c.md")), Ok(()));
    }

    #[test]
    fn a_change_holds_no_more_than_it_says() {
        let mut intent = Intent::new(home());
        for n in 0..CHANGE_FILES_MAX {
            intent.push(Step::Remove { target: path(format!("f{n}").as_bytes()) }).unwrap();
        }
        let one_more = Step::Remove { target: path(b"one-more") };
        assert_eq!(intent.push(one_more), Err(TargetFault::TooMany));
        assert!(Intent::parse(home(), &intent.render()).is_ok());
    }
}
