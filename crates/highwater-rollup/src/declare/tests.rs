//! Declarations that are refused, and why.

use super::*;

const GOOD: &str = r#"
    source = "task_usage"
    event-time = "created_at"
    grain = "hour"
    target = "task_usage_hourly"
    join.task = { table = "agent_task_queue", on = { id = "task_id" } }
    join.issue = { table = "issue", on = { id = "task.issue_id" }, optional = true }
    keys = { project = "issue.project_id", model = "model" }
    aggregates = { tokens = { sum = "tokens" }, rows = "count", cost = { avg = "cost" } }
"#;

fn read(text: &str) -> Result<Declaration, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    match read(&GOOD.replace(from, to)) {
        Ok(declaration) => declaration.check().unwrap_err().to_string(),
        Err(message) => message,
    }
}

#[test]
fn a_declaration_reads_as_it_is_written() {
    let declaration = read(GOOD).unwrap();
    declaration.check().unwrap();
    assert_eq!(declaration.source_key, [Ident::new("id").unwrap()]);
    assert_eq!(declaration.keys["model"].to_string(), "source.model");
    assert_eq!(declaration.value_columns(), ["tokens", "rows", "cost_sum", "cost_count"]);
    assert_eq!(read(&toml::to_string(&declaration).unwrap()).unwrap(), declaration);
}

#[test]
fn r15_what_no_sql_can_be_written_for_is_refused_with_its_field() {
    assert!(refused("\"hour\"", "\"7 minutes\"").contains("divide a day"));
    assert!(refused("\"hour\"", "\"9223372036854775807 minutes\"").contains("no grain"));
    assert!(refused("\"created_at\"", "\"created at\"").contains("is no name"));
    assert!(refused("\"created_at\"", "'x\"; DROP TABLE issue; --'").contains("is no name"));
    assert!(refused("\"task_usage_hourly\"", "\"issue\"").starts_with("target: issue is read"));
    assert!(refused("\"task.issue_id\"", "\"queue.issue_id\"").starts_with("join.issue.on: `queue`"));
    assert!(refused("join.task =", "join.source =").contains("what the source is called"));
    assert!(refused("{ id = \"task_id\" }", "{}").starts_with("join.task.on: there is no column"));
    assert!(refused("{ id = \"task.issue_id\" }", "{ id = \"task.issue_id\", org = \"org\" }").contains("two tables"));
    assert!(refused("model = \"model\"", "model = \"agent.model\"").starts_with("keys.model: `agent`"));
    assert!(refused("rows = \"count\"", "cost_sum = \"count\"").contains("two columns are called `cost_sum`"));
    assert!(refused("rows = \"count\"", "bucket = \"count\"").contains("`bucket`"));
    assert!(refused("rows = \"count\"", "rows = \"median\"").contains("unknown variant"));
}
