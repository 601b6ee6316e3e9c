INSERT INTO work_text (rowid, titles, names, subjects) VALUES (?1, ?2, ?3, ?4)
