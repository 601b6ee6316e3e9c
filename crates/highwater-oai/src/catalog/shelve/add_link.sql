INSERT INTO link (work, position, url, format, licence) VALUES (?1, ?2, ?3, ?4, ?5)
