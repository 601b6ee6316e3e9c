INSERT INTO quarantine (set_aside_at, source, worklist, position, why, row) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
