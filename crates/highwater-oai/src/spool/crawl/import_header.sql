INSERT INTO header (crawl, identifier, no, number, deleted) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING
