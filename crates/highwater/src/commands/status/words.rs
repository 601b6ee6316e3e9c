//! How a status is said to people. Owns the words and the colours.

use std::fmt::Display;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use highwater_engine::clock::since;
use highwater_engine::ledger::{Halt, JobState, Override, PassRecord};
use highwater_engine::report::{PassCounts, Reason};
use highwater_engine::steering::Steering;
use highwater_engine::throttle::ThrottleState;
use highwater_engine::worklist::Tally;
use jiff::Timestamp;

use super::view::{JobView, PASSES_SEARCHED_MAX, ResourceView, SinceThen, View, Waiting};
use crate::bar::{grouped, span};
use crate::commands::notice::undelivered;
use crate::commands::{call, handle};
use crate::site::Site;
use crate::table::{Facts, line, lines, moment};

const GOOD: Style = AnsiColor::Green.on_default();
const LIVELY: Style = AnsiColor::Cyan.on_default();
const RESTING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const BOLD: Style = Style::new().bold();

/// A status as text.
pub(super) fn text(view: &View, site: &Site) -> String {
    let mut facts = Facts::default();
    if view.jobs.is_empty() {
        facts.heading("no jobs: the configuration has none, and no pass ran here");
    }
    for (i, job) in view.jobs.iter().enumerate() {
        if i > 0 {
            facts.gap();
        }
        Said { view, site, job }.say(&mut facts);
    }
    if !view.resources.is_empty() {
        facts.gap();
        facts.heading("other resources");
        view.resources.iter().for_each(|resource| say_resource(&mut facts, resource, view.at));
    }
    facts.to_string()
}

/// `3,900 done, 20 review, 5 retry`; `None` where there are none.
pub(in crate::commands) fn outcomes(tally: &Tally) -> Option<String> {
    listed([
        (tally.done, "done"),
        (tally.present, "present"),
        (tally.gone, "gone"),
        (tally.skipped, "skipped"),
        (tally.review, "review"),
        (tally.retry, "retry"),
    ])
}

fn counts(counts: &PassCounts) -> Option<String> {
    listed([
        (counts.done, "done"),
        (counts.present, "present"),
        (counts.gone, "gone"),
        (counts.review, "review"),
        (counts.retry, "retry"),
    ])
}

fn listed<const N: usize>(counts: [(u64, &str); N]) -> Option<String> {
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> = some.map(|(count, word)| format!("{} {word}", grouped(count))).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// One job, being said.
struct Said<'v> {
    view: &'v View,
    site: &'v Site,
    job: &'v JobView,
}

impl Said<'_> {
    fn say(&self, facts: &mut Facts) {
        let job = self.job;
        facts.heading(self.heading());
        if let Some(progress) = &job.progress {
            facts.fact("progress", &progress.sentence);
        }
        if let Some(outcomes) = job.worklist.as_ref().and_then(|worklist| outcomes(&worklist.tally)) {
            facts.fact("outcomes", outcomes);
        }
        if let Some(halt) = &job.halt {
            self.say_halt(facts, halt);
        }
        if let Some(pause) = &job.paused {
            facts.fact("paused", self.word(pause));
            facts.fact("", format_args!("next: {}", call(self.site, format_args!("resume {}", job.name))));
        }
        for set in &job.overrides {
            facts.fact("set", styled(RESTING, self.set(set)));
        }
        if let Some(pass) = &job.running {
            facts.fact("running", self.running(pass));
            if let Some(throttle) = &pass.throttle {
                self.say_throttle(facts, throttle);
            }
        }
        for pass in &job.killed {
            let where_ = format!("process {} on {}, begun {}", pass.pid, pass.host, moment(pass.begun_at));
            facts.fact("killed", format_args!("pass {} ({where_}): the next pass goes on where it left off", pass.id));
        }
        for waiting in &job.waiting {
            let Waiting { resource, host, pid, since } = waiting;
            let who = format!("process {pid} on {host} for {} (since {})", self.ago(*since), moment(*since));
            facts.fact("waiting", styled(RESTING, format_args!("for {resource}: {who}")));
        }
        match (&job.last_pass, &job.since_then) {
            (Some(pass), since_then) => {
                self.say_last(facts, pass);
                since_then.iter().for_each(|since_then| self.say_since(facts, since_then));
            }
            // None did anything yet: why the last did not is what there is to say.
            (None, Some(since_then)) => self.say_last(facts, &since_then.last),
            (None, None) => {}
        }
        if self.view.in_detail {
            self.say_detail(facts);
        }
        job.resources.iter().for_each(|resource| say_resource(facts, resource, self.view.at));
        if let Some(quarantined) = &job.quarantined {
            facts.fact("damaged", styled(BAD, quarantined.sentence(&handle(self.site, &job.name))));
        }
        if let Some(last) = job.notices.last() {
            let error = last.last_error.as_deref().map(|error| format!("; the last error: {}", line(error)));
            let said = format!("{} not delivered{}", job.notices.len(), error.unwrap_or_default());
            facts.fact("notices", styled(RESTING, said));
        }
    }

    fn heading(&self) -> String {
        let job = self.job;
        let state = match job.state {
            JobState::Halted => styled(BAD, "halted"),
            JobState::Drained => styled(GOOD, "drained"),
            JobState::Active if job.running.is_some() => styled(LIVELY, "active"),
            JobState::Active if !job.waiting.is_empty() => styled(RESTING, "waiting"),
            JobState::Active if job.never_ran() => "never run".to_owned(),
            JobState::Active => "active".to_owned(),
        };
        let mut heading = format!("{}: {state}", styled(BOLD, &job.name));
        if job.paused.is_some() {
            heading.push_str(&format!(", {}", styled(RESTING, "paused")));
        }
        if !job.armed {
            heading.push_str(", disarmed on this host (`armed = false`)");
        }
        if !job.configured {
            heading.push_str(", not in this configuration");
        }
        heading
    }

    /// Since when, by whom and why.
    fn word(&self, word: &Halt) -> String {
        let why = if word.why.is_empty() { String::new() } else { format!(": {}", line(&word.why)) };
        format!("since {} ({} ago) by {}{why}", moment(word.at), self.ago(word.at), word.who.0)
    }

    /// What is set, since when, by whom and why.
    fn set(&self, set: &Override) -> String {
        let Override { key, value, at, who, why } = set;
        let why = if why.is_empty() { String::new() } else { format!(": {}", line(why)) };
        format!("{key}={} since {} ({} ago) by {}{why}", line(value), moment(*at), self.ago(*at), who.0)
    }

    /// Nothing is said of a throttle that slows nothing down, but to those who ask for one job.
    fn say_throttle(&self, facts: &mut Facts, throttle: &ThrottleState) {
        let Some(worst) = throttle.worst() else { return };
        let worst = line(&worst.sentence());
        if Steering::of(&self.job.overrides).throttle == Some(false) {
            facts.fact("throttle", format_args!("not heeded (`throttle=off`); {worst}"));
        } else if let Some(since) = throttle.closed_since {
            let closed = format!("closed since {} ({} ago): {worst}", moment(since), self.ago(since));
            facts.fact("throttle", styled(RESTING, format_args!("{closed}; {}", speed(throttle.share))));
        } else if throttle.share < 1.0 {
            facts.fact("throttle", styled(RESTING, format_args!("{}: {worst}", speed(throttle.share))));
        } else if self.view.in_detail {
            facts.fact("throttle", format_args!("open: {worst}"));
        }
    }

    fn say_halt(&self, facts: &mut Facts, halt: &Halt) {
        facts.fact("halted", self.word(halt));
        if self.view.in_detail && halt.evidence != halt.why && !halt.evidence.trim().is_empty() {
            facts.fact("evidence", lines(halt.evidence.trim_end()));
        }
        if let Some(until) = &halt.until {
            facts.fact("until", format_args!("{until}: then it re-arms itself"));
        }
        let name = &self.job.name;
        let tally = self.job.worklist.as_ref().map(|worklist| worklist.tally).unwrap_or_default();
        let look = match (self.view.in_detail, tally.review, tally.retry) {
            (false, ..) => Some(format!("status {name}")),
            (true, 1.., _) => Some(format!("items {name} --outcome review")),
            (true, 0, 1..) => Some(format!("items {name} --outcome retry")),
            (true, 0, 0) => None,
        };
        let look = look.map(|look| format!("{}, then ", call(self.site, look))).unwrap_or_default();
        facts.fact("", format_args!("next: {look}{}", call(self.site, format_args!("rearm {name} --why …"))));
    }

    fn running(&self, pass: &PassRecord) -> String {
        let so_far = counts(&pass.counts).map(|counts| format!("; so far {counts}")).unwrap_or_default();
        let PassRecord { id, begun_at, who, pid, host, .. } = pass;
        format!(
            "pass {id} for {} (since {}) by {}, process {pid} on {host}{so_far}",
            self.ago(*begun_at),
            moment(*begun_at),
            who.0
        )
    }

    fn say_last(&self, facts: &mut Facts, pass: &PassRecord) {
        let reason = pass.reason.map_or("killed", Reason::word);
        let exit = pass.exit.map(|exit| format!(", exit {}", exit.number())).unwrap_or_default();
        let mut text = format!("{}: {reason}{exit}", pass.id);
        if let Some(ended) = pass.ended_at {
            text.push_str(&format!(
                ", {} ago ({}), took {}",
                self.ago(ended),
                moment(ended),
                span(since(ended, pass.begun_at))
            ));
        }
        if let Some(counts) = counts(&pass.counts) {
            text.push_str(&format!("; {counts}"));
        }
        facts.fact("last pass", text);
        let told = matches!(pass.reason, Some(Reason::Drained))
            || (pass.reason == Some(Reason::Halted) && self.job.halt.is_some());
        if let (Some(message), false) = (&pass.message, told) {
            facts.fact("", line(message));
        }
    }

    fn say_since(&self, facts: &mut Facts, since_then: &SinceThen) {
        let SinceThen { passes, reasons, last } = since_then;
        let counted = |(reason, count): (&&str, &usize)| {
            if reasons.len() == 1 { (*reason).to_owned() } else { format!("{} {reason}", grouped(*count as u64)) }
        };
        let mut words: Vec<_> = reasons.iter().collect();
        words.sort_by(|a, b| b.1.cmp(a.1));
        let words = words.into_iter().map(counted).collect::<Vec<_>>().join(", ");
        let many = if *passes >= PASSES_SEARCHED_MAX { "more than " } else { "" };
        let which = if *passes == 1 { format!("pass {}", last.id) } else { format!("the last ({})", last.id) };
        let ago = last.ended_at.map(|at| format!(" {} ago", self.ago(at))).unwrap_or_default();
        let passes = counted_passes(*passes);
        facts.fact("since then", format_args!("{many}{passes} came to nothing ({words}), {which}{ago}"));
        if let Some(message) =
            last.message.as_deref().filter(|_| !matches!(last.reason, Some(Reason::AlreadyDrained | Reason::Halted)))
        {
            facts.fact("", line(message));
        }
    }

    fn say_detail(&self, facts: &mut Facts) {
        if let Some(worklist) = &self.job.worklist {
            let source = worklist.input.as_ref().map_or("discovered by the job", |input| input.source.as_str());
            let pinned = worklist.pinned_at.map(|at| format!(", pinned {}", moment(at))).unwrap_or_default();
            facts.fact("worklist", format_args!("{}; round {}{pinned}", line(source), worklist.round));
        }
        if let Some(at) = self.job.last_drained_at {
            facts.fact("last item", format_args!("terminal {} ago ({})", self.ago(at), moment(at)));
        }
        for notice in &self.job.notices {
            facts.fact("notice", undelivered(notice));
        }
    }

    fn ago(&self, at: Timestamp) -> String {
        // To the second: milliseconds would dance under the eye.
        span(Duration::from_secs(since(self.view.at, at).as_secs().max(1)))
    }
}

/// `at 25 % of full speed`.
fn speed(share: f64) -> String {
    format!("at {:.0} % of full speed", (share * 100.0).max(1.0))
}

/// `1 pass`, `3 passes`.
fn counted_passes(count: usize) -> String {
    if count == 1 { "1 pass".to_owned() } else { format!("{} passes", grouped(count as u64)) }
}

fn say_resource(facts: &mut Facts, resource: &ResourceView, now: Timestamp) {
    let name = &resource.name;
    if let Some(holder) = &resource.holder {
        let who = format!("process {} on {} (pass {} of {})", holder.pid, holder.host, holder.pass, holder.job);
        facts.fact(
            "lock",
            match resource.holder_killed {
                true => format!("{name}: {who} was killed, or could not write its end; the next pass takes over"),
                false => format!("{name}: held by {who} since {}", moment(holder.since)),
            },
        );
    }
    if let Some(ban) = &resource.ban {
        let why = if ban.why.is_empty() { String::new() } else { format!(": {}", line(&ban.why)) };
        let left = span(resource.ban_left(now));
        facts.fact(
            "ban",
            styled(RESTING, format_args!("{name}: until {} ({left} left) by {}{why}", moment(ban.until), ban.who.0)),
        );
    }
}
