-- What the application writes, and a table of days that it kept by hand.
CREATE TABLE agent (id INTEGER PRIMARY KEY, workspace_id INTEGER NOT NULL);
CREATE TABLE issue (id INTEGER PRIMARY KEY, project_id INTEGER);
CREATE TABLE agent_task_queue (
    id INTEGER PRIMARY KEY,
    agent_id INTEGER NOT NULL REFERENCES agent ON DELETE CASCADE,
    issue_id INTEGER,
    runtime_id INTEGER
);
CREATE TABLE task_usage (
    id INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL REFERENCES agent_task_queue ON DELETE CASCADE,
    model TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX task_usage_task ON task_usage (task_id);
CREATE INDEX task_agent ON agent_task_queue (agent_id);
CREATE INDEX task_issue ON agent_task_queue (issue_id);
CREATE TABLE task_usage_daily (day TEXT, model TEXT, tokens INTEGER, PRIMARY KEY (day, model));
