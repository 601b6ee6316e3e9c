INSERT INTO notice (job, target, change, body, queued_at, due_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
