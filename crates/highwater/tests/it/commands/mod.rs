//! The commands, driven as a person drives them: what each says, what it leaves in the ledger, how it ends.

mod doctor;
mod look;
mod make;
mod say;
mod watch;

use serde_json::Value;

use crate::rig::{Ended, Rig};

const THREE: [&str; 3] = ["a", "b", "c"];
/// Every item is done, and says so in `log`.
const OK: &str = "echo $1 >>log";

/// A job of three items with a resource `r`.
fn three() -> Rig {
    Rig::load(&THREE, OK, "")
}

/// Every line of JSON that was printed.
fn json_lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// The events of the audit trail: act, on what, why.
fn events(rig: &Rig) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = json_lines(&rig.ok(&["events", "--json"]));
    lines.iter().map(|e| [text(&e["act"]), text(&e["job"]) + &text(&e["resource"]), text(&e["why"])]).collect()
}

/// Asserts the code of a refusal, and that it says what to do next.
fn assert_refused(ended: &Ended, code: &str) {
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains(&format!("error[{code}]: ")) && ended.stderr.contains("next: "), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
}
