//! A message to people, and the shapes it takes on its way: JSON, what Slack takes, what ntfy takes. Owns the fields that
//! programs read; holds no secret and no output of a command.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ledger::Notice;
use crate::name::{JobName, PassId};
use crate::pass::Engine;
use crate::report::{PassCounts, PassReport, Reason};
use crate::settings::{NotifyEvent, NotifyTemplate};
use crate::worklist::Tally;

/// Longest sentence in a message, in bytes; with two of them a message stays under the 4,096 bytes that ntfy shows.
pub const MESSAGE_BYTES_MAX: usize = 1_800;

/// What people are told of one change: the JSON that webhooks and commands get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The job.
    pub job: JobName,
    /// What changed.
    pub change: NotifyEvent,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// When it happened.
    pub at: Timestamp,
    /// On which host it was seen.
    pub host: String,
    /// The pass that saw it.
    pub pass: Option<PassId>,
    /// Why that pass ended.
    pub reason: Reason,
    /// The exit code's number.
    pub exit: u8,
    /// Outcomes of that pass.
    pub counts: PassCounts,
    /// The worklist's figures after it.
    pub worklist: Option<Figures>,
}

/// A worklist's figures, as far as they concern people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Items pinned.
    pub total: u64,
    /// Items without a terminal outcome.
    pub open: u64,
    /// Items drained.
    pub done: u64,
    /// Items the source no longer has.
    pub gone: u64,
    /// Items the target had.
    pub present: u64,
    /// Items a person set aside.
    pub skipped: u64,
    /// Items a person must look at.
    pub review: u64,
    /// Open items that were tried.
    pub retry: u64,
}

impl From<Tally> for Figures {
    fn from(tally: Tally) -> Self {
        let Tally { total, done, gone, present, skipped, review, retry, .. } = tally;
        Self { total, open: tally.open(), done, gone, present, skipped, review, retry }
    }
}

impl Message {
    pub(super) fn new(engine: &Engine, report: &PassReport, change: NotifyEvent, text: &str, next: &str) -> Self {
        Self {
            job: report.job.clone(),
            change,
            message: shortened(text, MESSAGE_BYTES_MAX),
            next: shortened(next, MESSAGE_BYTES_MAX),
            at: engine.clock.now(),
            host: engine.host.clone(),
            pass: report.pass,
            reason: report.reason,
            exit: report.exit.number(),
            counts: report.counts,
            worklist: report.tally.map(Figures::from),
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("invariant: a message is plain data with text keys")
    }

    fn title(&self) -> String {
        let changed = match self.change {
            NotifyEvent::Halted => "halted",
            NotifyEvent::Drained => "drained",
            NotifyEvent::Review => "items to review",
            NotifyEvent::Failed => "failed",
            NotifyEvent::Silent => "silent",
        };
        format!("{}: {changed}", self.job)
    }
}

/// A message in the shape that its target takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shaped {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// Gives a waiting notice its target's shape.
pub(super) fn shape(notice: &Notice, template: NotifyTemplate) -> Shaped {
    // A notice of another version of this program, or one that was damaged, is delivered as it is (R14).
    let message = serde_json::from_str::<Message>(&notice.body).ok();
    let (title, text) = match &message {
        Some(message) => (message.title(), format!("{}\nnext: {}", message.message, message.next)),
        None => (format!("{}: {}", notice.job, notice.change), notice.body.clone()),
    };
    match template {
        NotifyTemplate::Json => json(notice.body.clone()),
        NotifyTemplate::Slack => slack(&title, &text),
        NotifyTemplate::Ntfy => ntfy(message.map(|m| m.change), title, text),
    }
}

fn json(body: String) -> Shaped {
    Shaped { headers: vec![("content-type", "application/json".to_owned())], body }
}

/// # Source
/// Slack, "Sending messages using incoming webhooks" and "Formatting text": `&`, `<` and `>` are escaped, `*` makes bold.
fn slack(title: &str, text: &str) -> Shaped {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json(json!({ "text": format!("*{}*\n{}", escaped(title), escaped(text)) }).to_string())
}

/// # Source
/// ntfy, "Publishing": the body is the message; `Title`, `Priority` and `Tags` (emoji short codes) are headers.
fn ntfy(change: Option<NotifyEvent>, title: String, text: String) -> Shaped {
    let (priority, tag) = match change {
        Some(NotifyEvent::Halted) => ("high", "rotating_light"),
        Some(NotifyEvent::Failed) => ("high", "warning"),
        Some(NotifyEvent::Review) => ("default", "eyes"),
        Some(NotifyEvent::Silent) => ("default", "zzz"),
        Some(NotifyEvent::Drained) => ("low", "white_check_mark"),
        None => ("default", "warning"),
    };
    let headers = vec![
        ("content-type", "text/plain; charset=utf-8".to_owned()),
        ("title", title),
        ("priority", priority.to_owned()),
        ("tags", tag.to_owned()),
    ];
    Shaped { headers, body: text }
}

/// The text's beginning, of at most `bytes_max` bytes.
pub(super) fn shortened(text: &str, bytes_max: usize) -> String {
    const MORE: char = '…';
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max.saturating_sub(MORE.len_utf8());
    let mut short = text[..text.floor_char_boundary(room)].to_owned();
    short.push(MORE);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(message: &str) -> Notice {
        let at: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
        let job = JobName::new("load").unwrap();
        let message = Message {
            job: job.clone(),
            change: NotifyEvent::Halted,
            message: message.to_owned(),
            next: "`highwater rearm load --why …`".to_owned(),
            at,
            host: "a".to_owned(),
            pass: Some(PassId(12)),
            reason: Reason::Halted,
            exit: 4,
            counts: PassCounts { done: 3, review: 2, ..PassCounts::default() },
            worklist: Some(Tally { total: 10, done: 3, review: 2, ..Tally::default() }.into()),
        };
        Notice {
            no: 1,
            job,
            target: 0,
            change: "halted".to_owned(),
            body: message.to_json(),
            queued_at: at,
            attempts: 0,
            last_error: None,
        }
    }

    #[test]
    fn json_is_the_whole_message() {
        let shaped = shape(&notice("2 of 5 failed"), NotifyTemplate::Json);
        let body: serde_json::Value = serde_json::from_str(&shaped.body).unwrap();
        let expected = json!({
            "job": "load",
            "change": "halted",
            "message": "2 of 5 failed",
            "next": "`highwater rearm load --why …`",
            "at": "2026-11-20T08:00:00Z",
            "host": "a",
            "pass": 12,
            "reason": "halted",
            "exit": 4,
            "counts": {"done": 3, "gone": 0, "present": 0, "review": 2, "retry": 0},
            "worklist": {
                "total": 10, "open": 5, "done": 3, "gone": 0, "present": 0, "skipped": 0, "review": 2, "retry": 0
            },
        });
        assert_eq!(body, expected);
        assert_eq!(shaped.headers, [("content-type", "application/json".to_owned())]);
    }

    #[test]
    fn slack_gets_text_that_mentions_nobody() {
        let shaped = shape(&notice("<!channel> & co"), NotifyTemplate::Slack);
        let body: serde_json::Value = serde_json::from_str(&shaped.body).unwrap();
        let text = "*load: halted*\n&lt;!channel&gt; &amp; co\nnext: `highwater rearm load --why …`";
        assert_eq!(body, json!({ "text": text }));
    }

    #[test]
    fn ntfy_gets_text_and_headers() {
        let shaped = shape(&notice("2 of 5 failed"), NotifyTemplate::Ntfy);
        assert_eq!(shaped.body, "2 of 5 failed\nnext: `highwater rearm load --why …`");
        let header = |name| shaped.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
        assert_eq!(header("title"), Some("load: halted"));
        assert_eq!(header("priority"), Some("high"));
        assert_eq!(header("tags"), Some("rotating_light"));
    }

    #[test]
    fn r14_a_body_that_cannot_be_read_is_delivered_as_it_is() {
        let damaged = Notice { body: "{\"job\":".to_owned(), ..notice("") };
        assert_eq!(shape(&damaged, NotifyTemplate::Json).body, "{\"job\":");
        let ntfy = shape(&damaged, NotifyTemplate::Ntfy);
        assert_eq!(ntfy.body, "{\"job\":");
        assert!(ntfy.headers.contains(&("title", "load: halted".to_owned())));
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_no_half_character() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abc…");
        assert_eq!(shortened("äöüäöü", 8), "äö…");
        assert_eq!(shortened("abc", 0), "…");
    }
}
