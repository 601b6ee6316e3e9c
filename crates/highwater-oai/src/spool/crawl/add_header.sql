-- A record that is listed twice was changed meanwhile: the later word counts, the first place stays.
INSERT INTO header (crawl, identifier, no, number, deleted) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (crawl, identifier) DO UPDATE SET deleted = excluded.deleted
