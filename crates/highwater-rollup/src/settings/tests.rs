//! Both ways to say what to roll up, and what does not go together.

use super::*;

fn read(text: &str) -> RollupSettings {
    toml::from_str(text).unwrap()
}

const DECLARED: &str = r#"
    database = "sqlite:usage.db"
    source = "task_usage"
    event-time = "created_at"
    grain = "hour"
    target = "task_usage_hourly"
    keys = { model = "model" }
    aggregates = { tokens = { sum = "tokens" } }
"#;

const WINDOW: &str = r#"
    database = "postgres://ann@db/usage"
    window = "SELECT rollup_window($1, $2)"
    bounds = "SELECT min(created_at), max(created_at) FROM task_usage"
    watermark = { table = "rollup_state", column = "watermark", key = { name = "hourly" } }
"#;

#[test]
fn either_way_to_say_what_to_roll_up_is_whole() {
    assert_eq!(read(DECLARED).problems(), []);
    assert!(matches!(read(DECLARED).subject(), Ok(Subject::Declared(_))));
    assert_eq!(read(WINDOW).problems(), []);
    assert!(matches!(read(WINDOW).subject(), Ok(Subject::Window(_, Grain::HOUR))));
}

#[test]
fn what_does_not_go_together_is_told_with_its_field() {
    let told = |text: &str| read(text).problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>();
    assert_eq!(told("database = \"sqlite:usage.db\""), ["source"]);
    assert_eq!(told(&format!("{DECLARED}\nwindow = \"SELECT w(?1, ?2)\"")), ["window"]);
    assert_eq!(told(&DECLARED.replace("grain = \"hour\"", "")), ["grain"]);
    assert_eq!(told(&DECLARED.replace("\"model\" }", "\"task.model\" }")), ["keys"]);
    assert_eq!(told(&WINDOW.replace("$2", "$1")), ["window"]);
    let unknown_mode = WINDOW.replace("ann@db/usage", "ann@db/usage?sslmode=maybe");
    assert_eq!(told(&unknown_mode), ["database"]);
    assert_eq!(told(&format!("{DECLARED}\nlag = \"5s\"\nbusy-timeout = \"5s\"")), ["lag"]);
    assert_eq!(told(&format!("{WINDOW}\nlag = \"0s\"")), ["lag"]);
    assert_eq!(told(&format!("{WINDOW}\nfreeze-before = \"90 days\"")), ["window"]);
    assert_eq!(told(&DECLARED.replace("grain", "freeze-before = \"90 min\"\ngrain")), ["freeze-before"]);
    assert_eq!(told(&DECLARED.replace("grain", "freeze-before = \"1 day\"\ngrain")), Vec::<&str>::new());
    assert_eq!(told(&format!("{WINDOW}\ntick-max = \"0s\"")), ["tick-max"]);
}
