INSERT INTO untried (worklist, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING
