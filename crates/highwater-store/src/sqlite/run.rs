//! Runs of neighbouring positions. Owns that many rows of a group become few statements.

use std::ops::RangeInclusive;

/// Positions as runs without a gap, ascending.
pub(super) struct Runs {
    positions: Vec<u64>,
    next: usize,
}

impl Runs {
    pub(super) fn of(positions: impl IntoIterator<Item = u64>) -> Self {
        let mut positions: Vec<u64> = positions.into_iter().collect();
        positions.sort_unstable();
        positions.dedup();
        Self { positions, next: 0 }
    }
}

impl Iterator for Runs {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<RangeInclusive<u64>> {
        let rest = &self.positions[self.next..];
        let first = *rest.first()?;
        let len = 1 + rest.windows(2).take_while(|pair| pair[1] == pair[0] + 1).count();
        self.next += len;
        Some(first..=rest[len - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run_whatever_their_order() {
        assert_eq!(Runs::of([]).count(), 0);
        assert_eq!(Runs::of([7]).collect::<Vec<_>>(), [7..=7]);
        assert_eq!(Runs::of([5, 3, 4, 4, 9, 0, 8]).collect::<Vec<_>>(), [0..=0, 3..=5, 8..=9]);
    }
}
