INSERT INTO scratch.seen_worklist (worklist, items) VALUES (?1, ?2)
ON CONFLICT (worklist) DO UPDATE SET items = excluded.items
