//! What of the pending survives a crash.

use super::disk::{Disk, Node};
use super::pending::{DataChange, Pending};

/// The unit in which a disk writes: what is torn is torn between two of these.
const SECTOR_BYTES: usize = 512;

/// Which pending things a crash leaves alive.
///
/// Things are numbered from 0, oldest first, up to [`SimFs::pending`](super::SimFs::pending).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Only what is durable.
    Nothing,
    /// All of it.
    Everything,
    /// The names and cut lengths; new files are empty, appended bytes missing.
    MetadataOnly,
    /// The names and all lengths; the bytes are zeros.
    ZeroedData,
    /// The bytes; no name.
    DataOnly,
    /// Everything, but of each write only the first half.
    PrefixData,
    /// Everything, but of each write every second sector missing, the first one too.
    TornData,
    /// Everything but this one.
    AllBut(usize),
    /// Only this one.
    Only(usize),
    /// Each by the toss of a coin with this seed; writes whole, cut, torn, as zeros or not at all.
    Random(u64),
}

impl Survival {
    /// Every one that is not random, for a disk with this many things pending.
    pub fn systematic(pending: usize) -> impl Iterator<Item = Self> {
        use Survival::{DataOnly, Everything, MetadataOnly, Nothing, PrefixData, TornData, ZeroedData};
        [Nothing, Everything, MetadataOnly, ZeroedData, DataOnly, PrefixData, TornData]
            .into_iter()
            .chain((0..pending).map(Self::AllBut))
            .chain((0..pending).map(Self::Only))
    }
}

/// What becomes of one pending thing.
#[derive(Clone, Copy)]
enum Fate {
    Lives,
    Dies,
    Prefix(usize),
    Zeros,
    /// The sectors whose bit is set live; sectors beyond the 64th follow the first 64.
    Torn(u64),
}

/// The disk after a crash.
pub(super) fn reboot(disk: &Disk, survival: Survival) -> Disk {
    let mut after = disk.clone();
    let mut rng = fastrand::Rng::with_seed(match survival {
        Survival::Random(seed) => seed,
        _ => 0,
    });
    for (n, pending) in std::mem::take(&mut after.pending).iter().enumerate() {
        match (pending, fate(survival, n, pending, &mut rng)) {
            (_, Fate::Dies) => {}
            (Pending::Names { changes, .. }, _) => {
                for change in changes {
                    change.apply(after.durable_dir(change.dir));
                }
            }
            (Pending::Data { ino, change, .. }, fate) => {
                let bytes = after.file(*ino).durable.to_mut();
                match change {
                    DataChange::Append { at, bytes: new } => land(bytes, *at, new, fate),
                    DataChange::SetLen(_) => change.apply(bytes),
                }
            }
        }
    }
    after.prune();
    for inode in after.inodes.values_mut() {
        match &mut inode.node {
            Node::File(bytes) => bytes.seen.clone_from(&bytes.durable),
            Node::Dir(entries) => entries.seen.clone_from(&entries.durable),
            Node::Symlink(_) => {}
        }
    }
    after
}

fn fate(survival: Survival, n: usize, pending: &Pending, rng: &mut fastrand::Rng) -> Fate {
    let written = match pending {
        Pending::Data { change: DataChange::Append { bytes, .. }, .. } => Some(bytes.len()),
        _ => None,
    };
    let lives = |lives| if lives { Fate::Lives } else { Fate::Dies };
    match (survival, written) {
        (Survival::Nothing, _) => Fate::Dies,
        (Survival::Everything, _) => Fate::Lives,
        (Survival::MetadataOnly, written) => lives(written.is_none()),
        (Survival::ZeroedData, Some(_)) => Fate::Zeros,
        (Survival::DataOnly, written) => lives(written.is_some()),
        (Survival::PrefixData, Some(len)) => Fate::Prefix(len / 2),
        (Survival::TornData, Some(_)) => Fate::Torn(0xaaaa_aaaa_aaaa_aaaa),
        (Survival::ZeroedData | Survival::PrefixData | Survival::TornData, None) => Fate::Lives,
        (Survival::AllBut(one), _) => lives(n != one),
        (Survival::Only(one), _) => lives(n == one),
        (Survival::Random(_), None) => lives(rng.bool()),
        (Survival::Random(_), Some(len)) => match rng.u8(0..5) {
            0 => Fate::Dies,
            1 => Fate::Lives,
            2 => Fate::Prefix(rng.usize(0..=len)),
            3 => Fate::Zeros,
            _ => Fate::Torn(rng.u64(..)),
        },
    }
}

/// Lays a write down as far as its fate lets it.
fn land(bytes: &mut Vec<u8>, at: usize, new: &[u8], fate: Fate) {
    let len = if let Fate::Prefix(len) = fate { len } else { new.len() };
    bytes.resize(bytes.len().max(at + len), 0);
    for (place, byte) in (at..).zip(&new[..len]) {
        let lands = match fate {
            Fate::Zeros | Fate::Dies => false,
            Fate::Lives | Fate::Prefix(_) => true,
            Fate::Torn(sectors) => sectors >> ((place / SECTOR_BYTES) % 64) & 1 == 1,
        };
        if lands {
            bytes[place] = *byte;
        }
    }
}
