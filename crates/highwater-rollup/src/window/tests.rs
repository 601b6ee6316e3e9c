//! Windows that are refused, and how one is written.

use super::*;

const GOOD: &str = r#"
    window = "SELECT rollup_task_usage_hourly_window($1, $2)"
    bounds = "SELECT min(created_at), max(created_at) FROM task_usage"
    watermark = { table = "task_usage_hourly_rollup_state", column = "watermark_at", key = { id = 1, name = "it's", live = true } }
"#;

fn read(text: &str) -> Result<Window, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    match read(&GOOD.replace(from, to)) {
        Ok(window) => window.check(Dialect::Postgres).unwrap_err().to_string(),
        Err(message) => message,
    }
}

#[test]
fn a_window_reads_as_it_is_written() {
    let window = read(GOOD).unwrap();
    window.check(Dialect::Postgres).unwrap();
    assert_eq!(window.watermark.condition(""), "\"id\" = 1 AND \"name\" = 'it''s' AND \"live\" = true");
    assert_eq!(read(&toml::to_string(&window).unwrap()).unwrap(), window);
}

#[test]
fn r15_what_can_be_no_window_is_refused_with_its_field() {
    assert!(refused("$1, $2", "$1").starts_with("window: $2 is not in it"));
    assert!(
        refused("SELECT min(created_at), max(created_at) FROM task_usage", " ;\\n").starts_with("bounds: it is empty")
    );
    assert!(refused("\"watermark_at\"", "\"watermark at\"").contains("is no name"));
    assert!(refused("{ id = 1,", "{ a = 1, b = 1, c = 1, d = 1, e = 1, f = 1, g = 1,").starts_with("watermark.key"));
    let long = "x".repeat(SQL_BYTES_MAX);
    assert!(refused("$1, $2", &format!("$1, $2, '{long}'")).contains("expected at most 65536"));
    let window = read(GOOD).unwrap();
    assert!(window.check(Dialect::Sqlite).unwrap_err().to_string().starts_with("window: ?1 is not in it"));
}
