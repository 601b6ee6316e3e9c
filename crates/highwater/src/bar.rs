//! Progress while a pass runs: a bar on a terminal, quiet lines elsewhere. Owns how figures are drawn; the figures are the
//! ledger's, the same that `status` shows.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::SharedClock;
use highwater_engine::ledger::Ledger;
use highwater_engine::name::{JobName, PassId};
use highwater_engine::progress::{Figures, figures};
use highwater_engine::spec::JobSpec;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::output::Output;

/// How often the bar is drawn, in milliseconds.
const DRAW_EVERY_MS: u64 = 200;
/// Where there is no terminal a line is printed after this time, then after twice as long each, in seconds.
const LINE_AFTER_SECS: u64 = 2;
/// The longest time between two such lines, in seconds.
const LINE_EVERY_SECS_MAX: u64 = 60;

/// Progress of one pass, until it is dropped.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    task: Option<JoinHandle<()>>,
}

impl Progress {
    /// Nothing is shown.
    pub(crate) fn none() -> Self {
        Self { bar: None, task: None }
    }

    /// Follows the job in the ledger.
    pub(crate) fn follow(ledger: Arc<dyn Ledger>, clock: SharedClock, spec: &JobSpec, output: Output) -> Self {
        if output.quiet {
            return Self::none();
        }
        let pace = spec.resources.iter().map(|r| r.pace.delay).max().unwrap_or_default();
        let follow = Follow { ledger, clock, job: spec.name.clone(), pace };
        let target = ProgressDrawTarget::stderr();
        // A terminal that cannot draw (`TERM=dumb`) gets lines.
        if !target.is_hidden() && !output.json {
            let bar = ProgressBar::with_draw_target(Some(0), target);
            bar.set_style(style());
            bar.set_prefix(follow.job.to_string());
            let task = tokio::spawn(follow.draw(bar.clone()));
            return Self { bar: Some(bar), task: Some(task) };
        }
        Self { bar: None, task: Some(tokio::spawn(follow.print(output))) }
    }

    /// The bar, for lines that are to stand above it.
    pub(crate) fn bar(&self) -> Option<&ProgressBar> {
        self.bar.as_ref()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} [{bar:30}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸ ")
}

/// `4,120 of 10,000 (41 %), 210/s, ETA 28s`.
pub(crate) fn sentence(figures: &Figures) -> String {
    if figures.total == 0 {
        return "no items".to_owned();
    }
    let mut text = format!("{} of {}", grouped(figures.terminal), grouped(figures.total));
    if let Some(percent) = (figures.terminal * 100).checked_div(figures.total) {
        text.push_str(&format!(" ({percent} %)"));
    }
    if let Some(rate) = figures.rate {
        text.push_str(&if rate >= 10.0 { format!(", {rate:.0}/s") } else { format!(", {rate:.2}/s") });
    }
    if let Some(eta) = figures.eta {
        text.push_str(&format!(", ETA {}", span(eta)));
    }
    if let Some(more) = figures.passes_more {
        let then = if figures.running { "then " } else { "" };
        let passes = if more == 1 { "pass" } else { "passes" };
        text.push_str(&format!(", {then}{} more {passes}", grouped(more)));
        if let Some(items) = figures.budget_items {
            text.push_str(&format!(" of {}", counted(items, "item")));
        }
    }
    text
}

/// The same while a pass runs, which may still be at its list.
fn lively(figures: &Figures) -> String {
    if figures.total == 0 { "listing what there is to do".to_owned() } else { sentence(figures) }
}

/// `1 item`, `2,000 items`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `10,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1h 2m`, `28s`, `120ms`.
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    match secs {
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{secs}s"),
        60..3600 => format!("{}m {}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h {}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d {}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

struct Follow {
    ledger: Arc<dyn Ledger>,
    clock: SharedClock,
    job: JobName,
    pace: Duration,
}

impl Follow {
    async fn figures(&self) -> Option<Figures> {
        // A ledger that cannot be read ends the pass itself, with its own error.
        let mut record = self.ledger.job(&self.job).await.ok().flatten()?;
        // Another process that missed the lock may have written a newer row; this pass is the newest without an end.
        let running = self.ledger.passes_unended(&self.job, PassId(i64::MAX)).await.ok()?;
        record.last_pass = Some(running.into_iter().max_by_key(|pass| pass.id)?);
        Some(figures(&record, self.clock.now(), self.pace))
    }

    async fn draw(self, bar: ProgressBar) {
        loop {
            if let Some(figures) = self.figures().await {
                bar.set_length(figures.total);
                bar.set_position(figures.terminal);
                bar.set_message(lively(&figures));
            }
            self.clock.sleep(Duration::from_millis(DRAW_EVERY_MS)).await;
        }
    }

    async fn print(self, output: Output) {
        let mut wait = LINE_AFTER_SECS;
        loop {
            self.clock.sleep(Duration::from_secs(wait)).await;
            wait = (wait * 2).min(LINE_EVERY_SECS_MAX);
            if let Some(figures) = self.figures().await {
                output.note(format!("{}: {}", self.job, lively(&figures)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_spans_read_well() {
        assert_eq!([0, 999, 1000, 125_585, 1_000_000].map(grouped), ["0", "999", "1,000", "125,585", "1,000,000"]);
        let spans = [0, 59, 60, 3_700, 90_000].map(|s| span(Duration::from_secs(s)));
        assert_eq!(spans, ["0ms", "59s", "1m 0s", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn progress_reads_well_from_the_first_moment_to_a_trial_by_hand() {
        let none = Figures {
            total: 0,
            terminal: 0,
            open: 0,
            rate: None,
            eta: None,
            passes_more: None,
            budget_items: None,
            running: true,
        };
        assert_eq!([sentence(&none), lively(&none)], ["no items", "listing what there is to do"]);
        let trial = Figures {
            total: 100_000,
            terminal: 2,
            open: 99_998,
            passes_more: Some(49_999),
            budget_items: Some(2),
            ..none
        };
        assert_eq!(lively(&trial), "2 of 100,000 (0 %), then 49,999 more passes of 2 items");
        let ended = Figures { running: false, passes_more: Some(1), budget_items: Some(1), ..trial };
        assert_eq!(sentence(&ended), "2 of 100,000 (0 %), 1 more pass of 1 item");
    }
}
