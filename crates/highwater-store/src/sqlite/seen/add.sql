INSERT INTO scratch.seen (worklist, hash, position) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING
