INSERT INTO pass (job, begun_at, host, pid, who) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id
