//! Counting operations, and making them fail.

use std::fmt;
use std::io;

use highwater_fs::{Op, RelPath};
use nix::errno::Errno;

/// One operation of a disk: what was asked of it, and on what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// What was asked.
    pub op: Op,
    /// On what; of two paths the one that things go to.
    pub path: RelPath,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, self.path)
    }
}

/// A fault, and when it strikes.
///
/// It strikes only operations that can have it: a read meets no full disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: At,
    /// How.
    pub kind: FaultKind,
    /// Whether it strikes from then on, and not just once.
    pub sticky: bool,
}

/// Which operation a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The one with this number.
    Operation(usize),
    /// One that asks exactly this.
    Step(Step),
}

/// What a fault does to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It does nothing and says EIO. Of a file's sync: the bytes are lost to later syncs too.
    Eio,
    /// It does nothing and says ENOSPC.
    Enospc,
    /// A write writes half.
    ShortWrite,
    /// It happens, and says EIO all the same.
    LostAnswer,
    /// A sync does nothing and says that all is well: the line of code that somebody forgot.
    Forgotten,
}

impl Fault {
    /// A fault that strikes the operation with this number, if it can, and no other.
    pub fn once(operation: usize, kind: FaultKind) -> Self {
        Self { at: At::Operation(operation), kind, sticky: false }
    }

    /// A fault that strikes from the operation with this number on.
    pub fn sticky(operation: usize, kind: FaultKind) -> Self {
        Self { at: At::Operation(operation), kind, sticky: true }
    }

    fn strikes(&self, number: usize, step: &Step) -> bool {
        let here = match &self.at {
            At::Operation(n) => number == *n || (self.sticky && number > *n),
            At::Step(chosen) => chosen == step,
        };
        here && self.kind.can_strike(step.op)
    }
}

impl FaultKind {
    fn can_strike(self, op: Op) -> bool {
        match self {
            FaultKind::Eio => true,
            FaultKind::LostAnswer => is_change(op),
            FaultKind::Enospc => is_change(op) && !matches!(op, Op::Unlink | Op::Exchange),
            FaultKind::ShortWrite => op == Op::Write,
            FaultKind::Forgotten => is_sync(op),
        }
    }
}

pub(super) fn is_sync(op: Op) -> bool {
    matches!(op, Op::Sync | Op::SyncDir)
}

/// Whether an operation leaves the disk other than it was.
pub(super) fn is_change(op: Op) -> bool {
    !matches!(op, Op::Enter | Op::Append | Op::Read | Op::List | Op::Stat)
}

/// What is to become of an operation.
pub(super) enum Verdict {
    Proceed,
    Short,
    Forget,
    LoseAnswer,
    Fail(io::Error),
}

/// Counts operations and decides on each.
#[derive(Default)]
pub(super) struct Switchboard {
    pub(super) trace: Vec<Step>,
    pub(super) crash_at: Option<usize>,
    faults: Vec<Fault>,
}

impl Switchboard {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn heal(&mut self) {
        self.faults.clear();
    }

    pub(super) fn has_crashed(&self) -> bool {
        self.crash_at.is_some_and(|crash| self.trace.len() > crash)
    }

    pub(super) fn next(&mut self, op: Op, path: &RelPath) -> Verdict {
        let number = self.trace.len();
        self.trace.push(Step { op, path: path.clone() });
        if self.has_crashed() {
            return Verdict::Fail(io::Error::other("the simulated power is off"));
        }
        let step = &self.trace[number];
        let Some(found) = self.faults.iter().position(|fault| fault.strikes(number, step)) else {
            return Verdict::Proceed;
        };
        let kind = self.faults[found].kind;
        if !self.faults[found].sticky {
            self.faults.remove(found);
        }
        match kind {
            FaultKind::Eio => Verdict::Fail(Errno::EIO.into()),
            FaultKind::Enospc => Verdict::Fail(Errno::ENOSPC.into()),
            FaultKind::ShortWrite => Verdict::Short,
            FaultKind::LostAnswer => Verdict::LoseAnswer,
            FaultKind::Forgotten => Verdict::Forget,
        }
    }
}
