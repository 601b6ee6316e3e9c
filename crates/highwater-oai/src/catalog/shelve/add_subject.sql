INSERT INTO subject (work, position, value) VALUES (?1, ?2, ?3)
