INSERT INTO work (id, title, other_titles, languages, types, publisher, year, description)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
