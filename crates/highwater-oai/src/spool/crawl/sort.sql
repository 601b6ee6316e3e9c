-- A record that is listed twice was changed meanwhile: the later word counts, the first place stays.
INSERT INTO header (crawl, identifier, no, number, deleted)
SELECT crawl, identifier, no, number, deleted
FROM listed
WHERE crawl = ?1
ORDER BY identifier, no
ON CONFLICT (crawl, identifier) DO UPDATE SET deleted = excluded.deleted
