INSERT INTO watermark (job, name, value) VALUES (?1, ?2, ?3)
ON CONFLICT (job, name) DO UPDATE SET value = excluded.value
