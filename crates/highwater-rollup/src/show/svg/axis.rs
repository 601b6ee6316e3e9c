//! The scale of figures: round steps, and how they are written.

/// Steps that are aimed at.
const STEPS: f64 = 5.0;
/// Beyond this a figure is written with its power of ten.
const PLAIN_MAX: f64 = 1e24;
/// Below this too.
const PLAIN_MIN: f64 = 1e-6;
/// Thousands, and what they are called.
const UNITS: [(f64, &str); 7] =
    [(1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];

/// A scale from the least to the most, both round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) least: f64,
    pub(super) most: f64,
    step: f64,
}

impl Scale {
    /// The scale of figures from one to another; `is_whole` where there are no parts of one.
    pub(super) fn of(least: f64, most: f64, is_whole: bool) -> Self {
        let (least, most) = match most > least {
            true => (least, most),
            false if least == 0.0 => (0.0, 1.0),
            false => (least.min(0.0), most.max(0.0)),
        };
        let rough = (most - least) / STEPS;
        let power = 10_f64.powf(rough.log10().floor());
        let round =
            [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| rough <= round * power * (1.0 + 1e-9)).unwrap_or(10.0);
        let step = if is_whole { (round * power).max(1.0) } else { round * power };
        Self { least: (least / step).floor() * step, most: (most / step).ceil() * step, step }
    }

    /// Where a figure is, from 0 at the least to 1 at the most.
    pub(super) fn share(&self, figure: f64) -> f64 {
        (figure - self.least) / (self.most - self.least)
    }

    /// The steps, each with how it is written.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let count = ((self.most - self.least) / self.step).round() as usize;
        let largest = self.least.abs().max(self.most.abs());
        (0..=count)
            .map(|at| {
                let tick = self.least + self.step * at as f64;
                // What should be nothing may be a billionth of a step.
                let tick = if tick.abs() < self.step / 1e6 { 0.0 } else { tick };
                (tick, written(tick, self.step, largest))
            })
            .collect()
    }
}

/// A figure to the precision of a step, in thousands that fit the largest.
fn written(figure: f64, step: f64, largest: f64) -> String {
    if figure == 0.0 {
        return "0".to_owned();
    }
    if largest >= PLAIN_MAX || step < PLAIN_MIN {
        let text = format!("{figure:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    // Half of a thousand is 500 and not 0.5k, but beside 1.5k it is.
    let (unit, sign) = UNITS.into_iter().find(|(unit, _)| largest >= *unit).unwrap_or((1.0, ""));
    let decimals = (-(step / unit).log10() - 1e-9).ceil().max(0.0) as usize;
    format!("{:.decimals$}{sign}", figure / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(least: f64, most: f64) -> Vec<String> {
        Scale::of(least, most, false).ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn steps_are_round_and_few() {
        assert_eq!(ticks(0.0, 10.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(ticks(0.0, 782_819.0), ["0", "200k", "400k", "600k", "800k"]);
        assert_eq!(ticks(0.0, 1_234.0), ["0", "0.5k", "1.0k", "1.5k"]);
        assert_eq!(ticks(-30.0, 55.0), ["-40", "-20", "0", "20", "40", "60"]);
        assert_eq!(ticks(0.0, 0.47), ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(ticks(101.5, 103.0), ["101.5", "102.0", "102.5", "103.0"]);
        assert_eq!(ticks(0.0, 3.7e30), ["0", "1e30", "2e30", "3e30", "4e30"]);
        assert_eq!(ticks(0.0, 5e-9), ["0", "1e-9", "2e-9", "3e-9", "4e-9", "5e-9"]);
        assert_eq!(ticks(0.0, 0.0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(ticks(7.0, 7.0), ["0", "2", "4", "6", "8"]);
        assert_eq!(ticks(-7.0, -7.0), ["-8", "-6", "-4", "-2", "0"]);
    }

    #[test]
    fn what_is_counted_has_no_halves() {
        let steps = Scale::of(0.0, 2.0, true).ticks();
        assert_eq!(steps.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
    }

    #[test]
    fn any_figures_have_a_scale_that_holds_them() {
        let figures = [-1e300, -1e15, -3.7, -1e-300, 0.0, 1e-300, 0.1, 99.9, 1e9, 1e300];
        for (at, least) in figures.iter().enumerate() {
            for most in &figures[at..] {
                let scale = Scale::of(*least, *most, false);
                let little = scale.step / 1e9;
                let holds = scale.least <= *least + little && *most <= scale.most + little;
                assert!(holds, "{least} {most}: {scale:?}");
                let ticks = scale.ticks();
                assert!((2..=12).contains(&ticks.len()), "{least} {most}: {ticks:?}");
                assert!(ticks.iter().all(|(_, text)| text.len() <= 12), "{least} {most}: {ticks:?}");
            }
        }
    }
}
