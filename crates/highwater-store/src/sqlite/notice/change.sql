-- Changes a row only when people were last told of something else.
INSERT INTO notice_change (job, change, change_key) VALUES (?1, ?2, ?3)
ON CONFLICT (job, change) DO UPDATE SET change_key = excluded.change_key WHERE change_key <> excluded.change_key
