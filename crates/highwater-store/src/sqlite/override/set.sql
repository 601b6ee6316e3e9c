INSERT INTO override (job, key, value, set_at, set_by, why) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (job, key) DO UPDATE SET value = excluded.value, set_at = excluded.set_at, set_by = excluded.set_by, why = excluded.why
