//! A row of figures as a row of signs. Owns the scale, and that what is not complete stands apart.

use highwater_rollup::show::{Kind, Point};

const SIGNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SIGNS_ASCII: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];
/// Nothing is known.
const GAP: char = ' ';

/// Before what is not complete.
pub(super) fn edge(is_utf8: bool) -> char {
    if is_utf8 { '┆' } else { '|' }
}

/// How many buckets one sign stands for, that all fit `width`.
pub(super) fn buckets_each(count: usize, complete: usize, width: usize) -> usize {
    let edges = usize::from(complete < count);
    // What is complete and what is not begin a sign of their own each.
    (1..).find(|each| complete.div_ceil(*each) + (count - complete).div_ceil(*each) + edges <= width).unwrap_or(count)
}

/// The signs of a row, on a scale of its own.
pub(super) fn signs(points: &[Point], complete: usize, kind: Kind, each: usize, is_utf8: bool) -> String {
    let means = |points: &[Point]| points.chunks(each).map(|points| joined(points, kind)).collect::<Vec<_>>();
    let (done, not) = (means(&points[..complete]), means(&points[complete..]));
    let known = || done.iter().chain(&not).flatten().copied().filter(|figure| figure.is_finite());
    // What adds up is seen against nothing at all.
    let base = if kind.is_zero_without_cells() { Some(0.0) } else { None };
    let least = known().chain(base).fold(f64::INFINITY, f64::min);
    let most = known().chain(base).fold(f64::NEG_INFINITY, f64::max);
    let sign = |figure: &Option<f64>| match figure {
        Some(figure) if figure.is_finite() => {
            let share = match base {
                _ if most > least => (figure - least) / (most - least),
                Some(_) => 0.0,
                None => 0.5,
            };
            let signs = if is_utf8 { SIGNS } else { SIGNS_ASCII };
            signs[(share * 7.0).round() as usize % 8]
        }
        _ => GAP,
    };
    let mut text: String = done.iter().map(sign).collect();
    if complete < points.len() {
        text.push(edge(is_utf8));
        text.extend(not.iter().map(sign));
    }
    text
}

/// One figure for several buckets.
fn joined(points: &[Point], kind: Kind) -> Option<f64> {
    let known: Vec<f64> = points.iter().flatten().map(highwater_rollup::show::Number::approximate).collect();
    if known.is_empty() {
        return None;
    }
    Some(match kind {
        Kind::Min => known.iter().copied().fold(f64::INFINITY, f64::min),
        Kind::Max => known.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        // Each divided first: the sum of large ones may be none.
        Kind::Adds | Kind::Mean | Kind::Distinct => known.iter().map(|figure| figure / known.len() as f64).sum(),
    })
}

#[cfg(test)]
mod tests {
    use highwater_rollup::show::Number;

    use super::*;

    fn points(figures: &[i64]) -> Vec<Point> {
        figures.iter().map(|figure| Some(Number::Exact((*figure).into()))).collect()
    }

    #[test]
    fn sums_stand_on_zero_and_others_on_their_least() {
        let eight = points(&[0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(signs(&eight, 8, Kind::Adds, 1, true), "▁▂▃▄▅▆▇█");
        assert_eq!(signs(&eight, 8, Kind::Adds, 1, false), "_.:-=+*#");
        assert_eq!(signs(&points(&[100, 107]), 2, Kind::Adds, 1, true), "██");
        assert_eq!(signs(&points(&[100, 107]), 2, Kind::Max, 1, true), "▁█");
        assert_eq!(signs(&points(&[-7, 0, 7]), 3, Kind::Adds, 1, true), "▁▅█");
        assert_eq!(signs(&points(&[0, 0]), 2, Kind::Adds, 1, true), "▁▁");
        assert_eq!(signs(&points(&[-3, -3]), 2, Kind::Adds, 1, true), "▁▁");
        assert_eq!(signs(&points(&[5, 5]), 2, Kind::Mean, 1, true), "▅▅");
        assert_eq!(signs(&[], 0, Kind::Adds, 1, true), "");
    }

    #[test]
    fn gaps_stay_gaps_and_what_is_no_number_is_one() {
        let mut some = points(&[1, 2, 3, 4]);
        some[1] = None;
        some[2] = Some(Number::Odd(f64::NAN));
        assert_eq!(signs(&some, 4, Kind::Max, 1, true), "▁  █");
    }

    #[test]
    fn what_is_not_complete_stands_behind_an_edge() {
        assert_eq!(signs(&points(&[7, 7, 1]), 2, Kind::Adds, 1, true), "██┆▂");
        assert_eq!(signs(&points(&[7, 7]), 0, Kind::Adds, 1, false), "|##");
    }

    #[test]
    fn many_buckets_share_signs_and_the_complete_ones_never_with_others() {
        assert_eq!(buckets_each(30, 30, 30), 1);
        assert_eq!(buckets_each(30, 29, 30), 2);
        assert_eq!(buckets_each(30, 29, 31), 1);
        assert_eq!(buckets_each(0, 0, 10), 1);
        for (count, complete, width) in [(1_000, 999, 10), (1_000, 0, 10), (365, 360, 57)] {
            let each = buckets_each(count, complete, width);
            let row = signs(&vec![None; count], complete, Kind::Adds, each, true);
            assert!(row.chars().count() <= width && row.chars().count() > width / 2 - 1, "{count} {complete}: {row:?}");
        }
        assert_eq!(signs(&points(&[0, 14, 7, 1]), 3, Kind::Adds, 2, true), "██┆▂");
        assert_eq!(signs(&points(&[1, 9, 5]), 3, Kind::Max, 2, true), "█▁");
    }
}
