//! Asking the model of a base, beside whatever passes run. Owns where its bans are kept, and how a question that is not answered ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::Stop;
use highwater_engine::ledger::Ledger;
use highwater_engine::name::JobName;
use highwater_engine::pass::Engine;
use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::settings::JobSettings;
use highwater_engine::spec::JobSpec;
use highwater_kb::Home;
use highwater_kb::lint::{self, Advice};
use highwater_kb::llm::fault::REQUEST_REFUSED;
use highwater_kb::llm::{LlmSettings, Model, Unsaid};
use highwater_kb::query::{self, Answered, Before, Passage, QueryError};
use highwater_store::Access;
use serde_json::{Value, json};

use super::NO_ANSWER;
use super::pass::{self, STATE};
use super::place::Place;
use crate::bar::counted;
use crate::cli::Global;
use crate::site::Site;
use crate::table::{line, moment};
use crate::{signals, wiring};

/// What a question is called among the jobs: it is none, and has no worklist.
const NAME: &str = "kb-query";

/// A base's own ledger, for bans.
///
/// # Errors
/// When its directory cannot be made, or is another user's.
pub(super) fn site(global: &Global, place: &Place) -> Result<Site, Diagnosis> {
    pass::site(global, place, true)
}

/// Where a base keeps what is the engine's.
pub(super) fn state(place: &Place) -> PathBuf {
    place.root.join(STATE)
}

/// Who asks.
pub(super) struct Asker<'p> {
    place: &'p Place,
    home: Arc<dyn Home>,
    model: Model,
    engine: Engine,
    spec: JobSpec,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// An error.
    Error(Diagnosis),
    /// Call again.
    Later {
        /// The word in reports.
        reason: Reason,
        /// In words.
        message: String,
    },
}

impl NoAnswer {
    /// Tells it, as the end of a command.
    ///
    /// # Errors
    /// The error, if it is one.
    pub(super) fn told(self, output: crate::output::Output) -> Result<ExitCode, Vec<Diagnosis>> {
        match self {
            Self::Error(error) => Err(vec![error]),
            Self::Later { reason, message } => {
                output.answer(&json!({ "reason": reason, "message": message }), &message);
                Ok(ExitCode::Checkpoint)
            }
        }
    }
}

impl From<Diagnosis> for NoAnswer {
    fn from(error: Diagnosis) -> Self {
        Self::Error(error)
    }
}

/// What a model said of a base, and why it did not say more.
#[derive(Default)]
pub(super) struct Advised {
    pub(super) advice: Advice,
    pub(super) ended: Option<(Reason, String)>,
}

impl Advised {
    fn ended(mut self, why: NoAnswer) -> Result<Self, Diagnosis> {
        match why {
            NoAnswer::Error(error) => Err(error),
            NoAnswer::Later { reason, message } => {
                self.ended = Some((reason, message));
                Ok(self)
            }
        }
    }
}

fn stopped() -> NoAnswer {
    NoAnswer::Later { reason: Reason::Stopped, message: "stopped by a signal".to_owned() }
}

impl<'p> Asker<'p> {
    /// One who asks this model. Within the runtime.
    ///
    /// # Errors
    /// When the ledger or the base cannot be opened, or there is no key where one is named.
    pub(super) fn new(place: &'p Place, site: &Site, settings: &LlmSettings) -> Result<Self, Diagnosis> {
        let mut resource = wiring::kb::endpoint(settings, &state(place));
        // Who sits before it does not want to wait in silence.
        resource.ban.wait_out_max = Duration::ZERO;
        let home = place.home()?;
        let model = wiring::kb::model(settings, &resource.name, Arc::clone(&home), &place.root)?;
        let name = JobName::new(NAME).expect("invariant: a word is a job's name");
        let spec = JobSpec::new(name, NAME, vec![resource], &JobSettings::default());
        let ledger = site.ledger(Access::ReadWrite)?;
        let engine = site.engine(ledger as Arc<dyn Ledger>, signals::listen());
        Ok(Self { place, home, model, engine, spec })
    }

    /// How many tokens were paid since it began.
    pub(super) fn paid(&self) -> u64 {
        self.model.spent()
    }

    /// Ends when a person wants no more.
    pub(super) async fn stopped(&self) {
        self.engine.stop.raised(Urgency::Soon).await;
    }

    /// An answer; `None` where the base says nothing of it.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(super) async fn answer(&self, question: &str, before: &[Before]) -> Result<Option<Answered>, NoAnswer> {
        let cx = self.engine.errand(&self.spec).await.map_err(|stop| self.stop(stop))?;
        let answer = query::answer(&self.model, &cx, &self.home, question, before);
        let answer = tokio::select! {
            answer = answer => answer,
            () = self.stopped() => {
                self.model.settled(&cx).await;
                return Err(stopped());
            }
        };
        answer.map_err(|error| match error {
            QueryError::Base(error) => self.place.failed(&error).into(),
            QueryError::Unsaid(Unsaid::Stop(stop)) => self.stop(stop),
            QueryError::Unsaid(Unsaid::Later(outcome)) => {
                NoAnswer::Later { reason: Reason::Network, message: outcome.detail.unwrap_or_default() }
            }
            QueryError::Unsaid(Unsaid::TooLong(why)) => Diagnosis::refusal(
                REQUEST_REFUSED,
                format!("the question with what the base says of it: {why}"),
                "set `--llm-context` to what the model reads",
            )
            .into(),
            error => Diagnosis::failure(NO_ANSWER, with_causes(&error), "ask again, in other words").into(),
        })
    }

    /// What the model finds in the pages that documents share, as far as it comes.
    ///
    /// # Errors
    /// What the base says, and what ends it for good, such as a key that is refused.
    pub(super) async fn advice(&self) -> Result<Advised, Diagnosis> {
        let cx = match self.engine.errand(&self.spec).await {
            Ok(cx) => cx,
            Err(stop) => return Advised::default().ended(self.stop(stop)),
        };
        let advice = tokio::select! {
            advice = lint::advise(&self.model, &cx, &self.home) => advice.map_err(|error| self.place.failed(&error))?,
            () = self.stopped() => {
                self.model.settled(&cx).await;
                return Advised::default().ended(stopped());
            }
        };
        let mut advised = Advised { advice, ended: None };
        match advised.advice.ended.take() {
            None => Ok(advised),
            Some(Unsaid::Stop(stop)) => advised.ended(self.stop(stop)),
            Some(unsaid) => advised.ended(NoAnswer::Later { reason: Reason::Network, message: unsaid.to_string() }),
        }
    }

    fn stop(&self, stop: Stop) -> NoAnswer {
        match stop {
            Stop::Fail(error) => error.into(),
            Stop::Ban { resource, until } => NoAnswer::Later {
                reason: Reason::BannedUntil,
                message: format!("{resource} is not asked before {}: it wants less to be asked", moment(until)),
            },
            Stop::Checkpoint { reason, message } => NoAnswer::Later { reason, message },
            Stop::Halt { why, .. } => NoAnswer::Later { reason: Reason::Halted, message: why },
            Stop::Halted => NoAnswer::Later { reason: Reason::Halted, message: "a person halted it".to_owned() },
        }
    }
}

/// An answer for programs; `paid` is how many tokens were paid so far.
pub(super) fn json(answered: &Answered, paid: u64) -> Value {
    let sources = answered.passages.iter().zip(1_u32..).map(|(passage, number)| {
        let mut source = place(passage);
        source["n"] = json!(number);
        source["cited"] = json!(answered.cited.contains(&number));
        source
    });
    json!({ "question": answered.question, "answer": answered.text, "model": answered.model, "cut": answered.is_cut,
        "tokens": paid, "dropped": answered.dropped, "sources": sources.collect::<Vec<_>>() })
}

/// Where something stands, for programs.
fn place(passage: &Passage) -> Value {
    json!({ "page": passage.page, "path": passage.page.path(), "title": passage.title, "heading": passage.heading,
        "lines": passage.lines, "pages": passage.pages })
}

/// An answer for people, with where it is from.
pub(super) fn told(answered: &Answered) -> String {
    let mut told = answered.text.clone();
    if answered.is_cut {
        told.push_str(" …");
    }
    for (passage, number) in answered.passages.iter().zip(1_u32..) {
        if answered.cited.contains(&number) {
            told.push_str(if told.contains("\n\n[") { "\n" } else { "\n\n" });
            told.push_str(&format!("[{number}] {} ({})", line(&passage.place()), passage.page));
        }
    }
    told
}

/// What a person should know of an answer besides.
pub(super) fn notes(answered: &Answered) -> Vec<String> {
    let mut notes = Vec::new();
    match answered.dropped {
        0 => {}
        1 => notes.push("one citation or link led nowhere, and was left out".to_owned()),
        dropped => notes.push(format!("{dropped} citations or links led nowhere, and were left out")),
    }
    if answered.cited.is_empty() && answered.linked.is_empty() {
        notes.push("it cites nothing of the base: it may be the model's own".to_owned());
    }
    if answered.is_cut {
        notes.push("it is cut off at the most tokens that an answer may have".to_owned());
    }
    notes
}

/// What a model said of a base, for programs; `paid` is how many tokens that cost.
pub(super) fn advice_json(advised: &Advised, paid: u64) -> Value {
    let Advice { pages, dropped, unusable, .. } = &advised.advice;
    json!({ "pages": pages, "dropped": dropped, "unusable": unusable, "tokens": paid,
        "reason": advised.ended.as_ref().map(|(reason, _)| reason), "message": advised.ended.as_ref().map(|(_, message)| message) })
}

/// What a person should know of that besides.
pub(super) fn advice_notes(advised: &Advised) -> Vec<String> {
    let Advice { dropped, unusable, pages, .. } = &advised.advice;
    let mut notes = Vec::new();
    if *dropped > 0 {
        notes.push(format!(
            "{} of the model quoted what does not stand there, and were left out",
            counted(*dropped, "finding")
        ));
    }
    if *unusable > 0 {
        notes.push(format!("of {} the model said nothing that can be used", counted(*unusable, "page")));
    }
    if let Some((_, message)) = &advised.ended {
        notes.push(format!("the model read {}, and not the rest: {message}; call again", counted(*pages, "page")));
    }
    notes
}
