//! How much a job does in one transaction: the arithmetic of a size that follows a target duration. Owns no clock and no
//! work: its caller measures, obeys the size, and splits in two what hit a statement timeout.

use std::time::Duration;

/// How much larger a batch may become than the one before: by a fifth.
const GROWTH_MAX: f64 = 1.2;

/// What a size aims at and stays within. The unit of a size is the caller's: rows, seconds of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBounds {
    /// How long one batch should take.
    pub target: Duration,
    /// The smallest size, at least 1.
    pub min: u64,
    /// The largest size.
    pub max: u64,
}

/// What became of a size that hit a timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halved {
    /// It is smaller now: split what hit the timeout and try both halves.
    Smaller,
    /// It was at its minimum already: no smaller batch can be tried.
    AtMinimum,
}

/// The size of the next batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSize {
    bounds: BatchBounds,
    size: u64,
}

impl BatchSize {
    /// Begins with `size`, held within the bounds; a maximum below the minimum counts as the minimum.
    #[must_use]
    pub fn new(bounds: BatchBounds, size: u64) -> Self {
        let min = bounds.min.max(1);
        let bounds = BatchBounds { min, max: bounds.max.max(min), ..bounds };
        Self { bounds, size: size.clamp(bounds.min, bounds.max) }
    }

    /// How large the next batch is to be.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it aims at and stays within.
    #[must_use]
    pub fn bounds(&self) -> BatchBounds {
        self.bounds
    }

    /// A batch of `size` took so long. Over the target the next one is as much smaller; under it the next one grows by at most a
    /// fifth. A batch that was smaller than it might have been, such as the last of an item, shrinks nothing by being quick.
    pub fn took(&mut self, size: u64, elapsed: Duration) {
        let (target, took) = (self.bounds.target.as_secs_f64(), elapsed.as_secs_f64());
        if size == 0 || target <= 0.0 {
            return;
        }
        // A clock too coarse to see it says zero: as quick as can be.
        let fitting = if took > 0.0 { size as f64 * (target / took) } else { f64::INFINITY };
        if elapsed > self.bounds.target {
            self.reduce(fitting);
        } else {
            // At least by one: a fifth of a small number is nothing.
            let grown = ((self.size as f64 * GROWTH_MAX) as u64).max(self.size.saturating_add(1));
            self.size = (fitting as u64).min(grown).max(self.size).min(self.bounds.max);
        }
    }

    /// A batch of `size` hit a timeout: the next one is half as large as that.
    pub fn timed_out(&mut self, size: u64) -> Halved {
        let size = size.min(self.size);
        if size <= self.bounds.min {
            return Halved::AtMinimum;
        }
        self.reduce(size as f64 / 2.0);
        Halved::Smaller
    }

    /// The throttle asks for less: the next batch is this share of what it would have been, 0.0 to 1.0.
    pub fn shrink(&mut self, share: f64) {
        if share.is_finite() {
            self.reduce(self.size as f64 * share.clamp(0.0, 1.0));
        }
    }

    fn reduce(&mut self, size: f64) {
        // `as` holds what is too large or negative at the ends of the range. Of large numbers it rounds, also upwards.
        self.size = (size as u64).min(self.size).clamp(self.bounds.min, self.bounds.max);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: BatchBounds = BatchBounds { target: Duration::from_secs(2), min: 10, max: 1_000 };

    fn after(size: u64, of: u64, took_ms: u64) -> u64 {
        let mut batch = BatchSize::new(BOUNDS, size);
        batch.took(of, Duration::from_millis(took_ms));
        batch.size()
    }

    #[test]
    fn a_quick_batch_lets_the_next_one_grow_by_at_most_a_fifth() {
        assert_eq!(after(100, 100, 1), 120);
        assert_eq!(after(100, 100, 0), 120);
        assert_eq!(after(100, 100, 1_900), 105);
        assert_eq!(after(1_000, 1_000, 1), 1_000);
        assert_eq!(after(10, 10, 1), 12);
    }

    #[test]
    fn a_small_size_grows_all_the_same() {
        let mut batch = BatchSize::new(BatchBounds { min: 1, ..BOUNDS }, 1);
        for size in 2..8 {
            batch.took(batch.size(), Duration::from_millis(1));
            assert_eq!(batch.size(), size);
        }
    }

    #[test]
    fn a_slow_batch_makes_the_next_one_as_much_smaller() {
        assert_eq!(after(100, 100, 4_000), 50);
        assert_eq!(after(100, 100, 2_000), 100);
        assert_eq!(after(100, 100, 3_600_000), 10);
        // Far too slow although it was small: what fits is less than that.
        assert_eq!(after(100, 40, 4_000), 20);
    }

    #[test]
    fn the_small_rest_of_an_item_shrinks_nothing_by_being_quick() {
        assert_eq!(after(100, 3, 100), 100);
        assert_eq!(after(100, 0, 0), 100);
        assert_eq!(after(100, 99, 1_980), 100);
    }

    #[test]
    fn a_timeout_halves_until_the_minimum_is_reached() {
        let mut batch = BatchSize::new(BOUNDS, 45);
        let mut timed_out = || (batch.timed_out(batch.size()), batch.size());
        assert_eq!(timed_out(), (Halved::Smaller, 22));
        assert_eq!(timed_out(), (Halved::Smaller, 11));
        assert_eq!(timed_out(), (Halved::Smaller, 10));
        assert_eq!(timed_out(), (Halved::AtMinimum, 10));
    }

    #[test]
    fn the_small_rest_of_an_item_that_hits_a_timeout_is_what_is_halved() {
        let mut batch = BatchSize::new(BOUNDS, 700);
        assert_eq!((batch.timed_out(100), batch.size()), (Halved::Smaller, 50));
        assert_eq!((batch.timed_out(5), batch.size()), (Halved::AtMinimum, 50));
    }

    #[test]
    fn the_throttle_shrinks_and_never_grows() {
        for (share, size) in [(0.5, 50), (1.0, 100), (7.0, 100), (0.0, 10), (-1.0, 10), (f64::NAN, 100)] {
            let mut batch = BatchSize::new(BOUNDS, 100);
            batch.shrink(share);
            assert_eq!(batch.size(), size, "{share}");
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Took(u64, u64),
        TimedOut,
        Shrink(f64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (any::<u64>(), any::<u64>()).prop_map(|(size, ms)| Step::Took(size, ms)),
            Just(Step::TimedOut),
            any::<f64>().prop_map(Step::Shrink),
        ];
        prop::collection::vec(step, 0..64)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_it_stays_within_its_bounds_and_grows_slowly(
            target_ms in any::<u64>(), min in any::<u64>(), max in any::<u64>(), begin in any::<u64>(), steps in steps()
        ) {
            let bounds = BatchBounds { target: Duration::from_millis(target_ms), min, max };
            let mut batch = BatchSize::new(bounds, begin);
            let (low, high) = (min.max(1), max.max(min).max(1));
            for step in steps {
                let before = batch.size();
                match step {
                    Step::Took(size, ms) => batch.took(size, Duration::from_millis(ms)),
                    Step::TimedOut => {
                        let halved = batch.timed_out(before);
                        prop_assert_eq!(halved == Halved::AtMinimum, before == low);
                    }
                    Step::Shrink(share) => {
                        batch.shrink(share);
                        prop_assert!(batch.size() <= before.max(low));
                    }
                }
                prop_assert!((low..=high).contains(&batch.size()));
                prop_assert!(batch.size() as f64 <= (before as f64 * GROWTH_MAX).max(before as f64 + 1.0) * (1.0 + 1e-9));
            }
        }
    }
}
