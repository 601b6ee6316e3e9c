INSERT INTO intent (worklist, position, kind, body) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (worklist, position) DO UPDATE SET kind = excluded.kind, body = excluded.body
