//! Of an item as a command: what each exit code makes of it, and what fits a command line.

use std::time::Duration;

use insta::assert_snapshot;

use super::*;
use crate::clock::{SharedClock, SystemClock};
use crate::contact::StopSignal;
use crate::exec::ExecJob;
use crate::exec::output::{EVIDENCE_BYTES_MAX, Output};
use crate::name::{JobName, PassId};
use crate::report::Reason;
use crate::settings::{CommandLine, FilePath};

struct Place {
    dir: tempfile::TempDir,
    job: JobName,
    clock: SharedClock,
    stop: StopSignal,
    deadline: Option<Duration>,
    settings: ExecSettings,
}

/// A job that runs a shell script with the key as `$1`.
fn place(script: &str) -> Place {
    let mut settings = ExecSettings::new(CommandLine::new(["sh", "-c", script, "sh", "{}"]).unwrap());
    settings.worklist = Some(FilePath::new("list"));
    Place {
        dir: tempfile::tempdir().unwrap(),
        job: JobName::new("load").unwrap(),
        clock: SystemClock::shared(),
        stop: StopSignal::default(),
        deadline: None,
        settings,
    }
}

impl Place {
    fn command(&self) -> ItemCommand {
        let quiet = Output::Through(Arc::new(|_, _: &[u8]| {}));
        match ExecJob::from_settings(&self.settings, self.dir.path(), Vec::new(), false, "L", quiet) {
            ExecJob::Item(command) => command,
            ExecJob::Pass(_) => panic!("it has a worklist"),
        }
    }

    async fn run(&self, item: &CommandItem) -> Result<Outcome, Stop> {
        let Self { job, clock, stop, deadline, .. } = self;
        let occasion = Occasion { job, pass: Some(PassId(12)), clock, stop, deadline: *deadline };
        self.command().attempt(occasion, item).await
    }

    async fn key(&self, key: &str) -> Result<Outcome, Stop> {
        self.run(&CommandItem::of_key(ItemKey::new(key).unwrap())).await
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("said")).unwrap_or_default()
    }

    /// What planning gives for a list with this name and these bytes.
    async fn plan(&mut self, name: &str, bytes: &str) -> Result<Vec<String>, String> {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
        self.settings.worklist = Some(FilePath::new(name));
        let command = self.command();
        let mut keys = Vec::new();
        let mut items = std::pin::pin!(command.listed());
        while let Some(item) = items.next().await {
            match item {
                Ok(item) => keys.push(item.key().to_string()),
                Err(Stop::Fail(error)) => {
                    return Err(error.to_string().replace(&format!("{}/", self.dir.path().display()), ""));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(items.next().await.is_none(), "the end stays the end");
        Ok(keys)
    }
}

fn outcome(kind: OutcomeKind, detail: Option<&str>) -> Result<Outcome, Stop> {
    Ok(Outcome::because(kind, detail.unwrap_or_default()))
}

#[tokio::test]
async fn exit_codes_are_outcomes() {
    let place = place("echo said >&2; exit $1");
    assert_eq!(place.key("0").await, outcome(OutcomeKind::Done, None));
    assert_eq!(place.key("3").await, outcome(OutcomeKind::Deferred, Some("exit 3: said")));
    assert_eq!(place.key("10").await, outcome(OutcomeKind::Gone, None));
    assert_eq!(place.key("11").await, outcome(OutcomeKind::Review, Some("exit 11: said")));
    assert_eq!(place.key("12").await, outcome(OutcomeKind::Present, None));
    for code in ["1", "2", "5", "13", "125", "128", "255"] {
        assert_eq!(place.key(code).await, outcome(OutcomeKind::Failed, Some(&format!("exit {code}: said"))));
    }
}

#[tokio::test]
async fn a_signal_is_a_failure() {
    assert_eq!(place("kill -KILL $$").key("a").await, outcome(OutcomeKind::Failed, Some("signal 9 (SIGKILL)")));
}

#[tokio::test]
async fn codes_that_mean_that_no_item_will_fare_better_halt_at_once() {
    let place = place("echo said >&2; exit $1");
    for (code, why) in [
        ("4", "the command asked for it (exit 4)"),
        ("126", "the command cannot be executed (exit 126)"),
        ("127", "the command was not found (exit 127)"),
    ] {
        let evidence = format!("item {code}: exit {code}, stderr ends with:\nsaid");
        assert_eq!(place.key(code).await, Err(Stop::Halt { why: why.to_owned(), evidence, until: None }));
    }
}

#[tokio::test]
async fn a_command_that_cannot_start_halts_at_once() {
    let mut place = place("");
    place.settings.command = CommandLine::new(["./none"]).unwrap();
    let why = r#"cannot start "./none": No such file or directory (os error 2)"#.to_owned();
    assert_eq!(
        place.key("a").await,
        Err(Stop::Halt { why, evidence: "at item a; nothing was started".to_owned(), until: None })
    );
}

#[tokio::test]
async fn a_detail_begins_with_the_code_however_long_the_rest() {
    let place = place("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 5");
    let detail = place.key("a").await.unwrap().detail.unwrap();
    assert_eq!(detail, format!("exit 5: {}", "x".repeat(DETAIL_BYTES_MAX - "exit 5: ".len())));
    assert_eq!(EVIDENCE_BYTES_MAX, DETAIL_BYTES_MAX);
}

#[tokio::test]
async fn hostile_keys_go_through_unharmed() {
    let mut place = place(r#"printf '%s\n--\n%s\n' "$HIGHWATER_ITEM" "$1" > said"#);
    for key in ["a b", "-rf", "--", "'\"`$(id)`;&|", "a\nb\tc", "{}", "ü 💧", "*", "\\", "$HOME", "\u{1b}[31m"] {
        assert_eq!(place.key(key).await, outcome(OutcomeKind::Done, None), "{key:?}");
        assert_eq!(place.said(), format!("{key}\n--\n{key}\n"));
    }
    // As the last word too, where no placeholder is.
    place.settings.command = CommandLine::new(["sh", "-c", r#"printf %s "$1" > said"#, "sh"]).unwrap();
    assert_eq!(place.key("-n 'x'\n").await, outcome(OutcomeKind::Done, None));
    assert_eq!(place.said(), "-n 'x'\n");
}

#[tokio::test]
async fn an_item_on_stdin_is_one_json_object() {
    let mut place = place("cat > said; [ $# = 0 ]");
    place.settings.stdin = StdinShape::Json;
    place.settings.command = CommandLine::new(["sh", "-c", "cat > said; [ $# = 0 ]"]).unwrap();
    let object = r#"{"id": "7", "tags": [1, {"a": null}]}"#;
    let item = CommandItem::of_object(ItemKey::new("7").unwrap(), object);
    assert_eq!(place.run(&item).await, outcome(OutcomeKind::Done, None));
    assert_eq!(place.said(), format!("{object}\n"));
    assert_eq!(place.key("a \"b\"").await, outcome(OutcomeKind::Done, None));
    assert_eq!(place.said(), "{\"key\":\"a \\\"b\\\"\"}\n");
}

#[tokio::test]
async fn variables_tell_the_pass_and_the_item() {
    let place = place(r#"echo "$HIGHWATER_JOB $HIGHWATER_PASS $HIGHWATER_ITEM $HIGHWATER_RUN" > said"#);
    assert_eq!(place.key("a").await, outcome(OutcomeKind::Done, None));
    assert_eq!(place.said(), "load 12 a L:load:12\n");
}

#[tokio::test]
async fn a_command_that_takes_too_long_failed() {
    let mut place = place("echo stuck >&2; sleep 600");
    place.settings.timeout = Some(DurationText::secs(2));
    assert_eq!(place.key("a").await, outcome(OutcomeKind::Failed, Some("not done after 2s, killed: stuck")));
}

#[tokio::test]
async fn an_item_that_the_pass_had_no_time_for_is_unattempted() {
    let mut place = place("sleep 600");
    place.deadline = Some(place.clock.elapsed() + Duration::from_millis(50));
    assert_eq!(place.key("a").await, Err(Stop::checkpoint(Reason::BudgetTime, "the pass's time is spent")));
}

#[tokio::test]
async fn an_item_that_a_signal_hit_is_unattempted() {
    let place = place("kill -TERM $$");
    place.stop.raise();
    assert_eq!(place.key("a").await, Err(Stop::checkpoint(Reason::Stopped, "stopped by a signal")));
}

#[tokio::test]
async fn an_item_whose_effect_may_have_happened_goes_to_review_where_it_may_not_run_again() {
    let mut place = place("sleep 600");
    place.settings.on_unknown = settings::OnUnknown::Review;
    place.deadline = Some(place.clock.elapsed() + Duration::from_millis(50));
    let detail =
        "the pass's time was spent while the command ran, and it was killed: whether its effect happened is unknown";
    assert_eq!(place.key("a").await, outcome(OutcomeKind::Review, Some(detail)));
    assert_eq!(place.command().on_unknown(), OnUnknown::Review);
}

#[tokio::test]
async fn a_list_is_planned_in_its_order_whatever_its_length() {
    let mut place = place("exit 0");
    let keys: Vec<String> = (0..2000).map(|n| format!("item-{n}")).collect();
    assert_eq!(place.plan("ids.txt", &keys.join("\n")).await, Ok(keys));
    let large: Vec<String> = (0..20).map(|n| format!(r#"{{"id":{n},"x":"{}"}}"#, "x".repeat(300_000))).collect();
    assert_eq!(place.plan("ids.jsonl", &large.join("\n")).await, Ok((0..20).map(|n| n.to_string()).collect()));
}

#[tokio::test]
async fn r15_a_placeholder_that_the_list_cannot_fill_is_refused_before_anything_runs() {
    let mut place = place("");
    place.settings.command = CommandLine::new(["./load", "{title}"]).unwrap();
    assert_snapshot!(place.plan("ids.txt", "a\n").await.unwrap_err(), @"
    error[HW-EXE-001]: ids.txt:1: command: `{title}` names no field, expected one of: id
      next: correct `command`, or the list
    ");
    assert_snapshot!(place.plan("ids.csv", "id,titel\n1,a\n").await.unwrap_err(), @"
    error[HW-EXE-001]: ids.csv:2: command: `{title}` names no field, expected one of: id, titel
      next: correct `command`, or the list
    ");
    assert_snapshot!(place.plan("ids.jsonl", "{\"id\":1,\"title\":\"a\"}\n{\"id\":2}\n").await.unwrap_err(), @"
    error[HW-EXE-001]: ids.jsonl:2: command: `{title}` names no field, expected one of: id
      next: correct `command`, or the list
    ");
    assert_snapshot!(place.plan("ids.jsonl", r#"{"id":1,"title":{"de":"a"}}"#).await.unwrap_err(), @r#"
    error[HW-EXE-002]: ids.jsonl:1: command: `{title}` is a list or an object, expected a text, a number, true or false
      next: correct the item, or hand it over whole with `stdin = "json"`
    "#);
    assert_snapshot!(place.plan("ids.jsonl", r#"{"id":1,"title":null}"#).await.unwrap_err(), @r#"
    error[HW-EXE-002]: ids.jsonl:1: command: `{title}` is null, expected a text, a number, true or false
      next: correct the item, or hand it over whole with `stdin = "json"`
    "#);
    assert_snapshot!(place.plan("ids.jsonl", r#"{"id":1,"title":"a\u0000b"}"#).await.unwrap_err(), @r#"
    error[HW-EXE-002]: ids.jsonl:1: command: `{title}` holds a NUL character, which no argument can
      next: correct the item, or hand it over whole with `stdin = "json"`
    "#);
    let long = format!(r#"{{"id":1,"title":"{}"}}"#, "x".repeat(200_000));
    assert_snapshot!(place.plan("ids.jsonl", &long).await.unwrap_err(), @r#"
    error[HW-EXE-002]: ids.jsonl:1: command: argument 1 would have 200000 bytes, expected at most 131071
      next: correct the item, or hand it over whole with `stdin = "json"`
    "#);
}

#[tokio::test]
async fn r15_a_placeholder_that_came_after_the_pin_is_refused_too() {
    let mut place = place("");
    place.settings.command = CommandLine::new(["./load", "{title}"]).unwrap();
    let item = CommandItem::of_object(ItemKey::new("7").unwrap(), r#"{"id":7}"#);
    let Err(Stop::Fail(error)) = place.run(&item).await else { panic!("no refusal") };
    assert_snapshot!(error.to_string(), @"
    error[HW-EXE-001]: command: item 7: `{title}` names no field, expected one of: id
      next: correct `command`, or the list
    ");
}
