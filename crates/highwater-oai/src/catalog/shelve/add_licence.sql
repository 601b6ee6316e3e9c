INSERT INTO licence (work, position, name, url) VALUES (?1, ?2, ?3, ?4)
