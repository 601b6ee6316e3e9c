INSERT INTO pass (job, begun_at, host, pid, who, budget_items) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id
