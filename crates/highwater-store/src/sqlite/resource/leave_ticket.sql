INSERT INTO ticket (resource, host, pid, job, since, lapses_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (resource, host, pid, job) DO UPDATE SET since = excluded.since, lapses_at = excluded.lapses_at
