//! What the benches of episodes pack: rows as a recorder writes them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Rows as a recorder writes them, which compress to about a third.
pub(crate) fn write(path: &Path, bytes: u64, seed: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut left, mut time, mut load) = (bytes, 1_754_907_300_000_u64, 5_000_u64);
    let mut row = Vec::new();
    while left > 0 {
        time += 100 + random.u64(..3);
        load = load.saturating_add_signed(random.i64(-40..=40));
        row.clear();
        writeln!(row, "{time},{load},{},core{},ok", random.u32(..100_000), random.u8(..4)).expect("it is memory");
        let part = &row[..usize::try_from(left).unwrap_or(usize::MAX).min(row.len())];
        file.write_all(part).expect("it is written");
        left -= part.len() as u64;
    }
    file.flush().expect("it is written");
}
