INSERT INTO contributor (work, position, name, role) VALUES (?1, ?2, ?3, ?4)
