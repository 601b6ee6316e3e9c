INSERT INTO listed (no, crawl, identifier, number, deleted) VALUES (?1, ?2, ?3, ?4, ?5)
