INSERT INTO identifier (work, position, type, value) VALUES (?1, ?2, ?3, ?4)
