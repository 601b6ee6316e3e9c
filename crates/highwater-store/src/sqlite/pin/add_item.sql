INSERT INTO item (worklist, position, key, payload) VALUES (?1, ?2, ?3, ?4)
