INSERT INTO missing (identifier)
SELECT h.identifier
FROM header AS h
LEFT JOIN have AS v ON v.identifier = h.identifier
LEFT JOIN filtered AS f ON f.identifier = h.identifier
WHERE h.crawl = ?1 AND h.deleted = 0 AND v.identifier IS NULL AND f.identifier IS NULL
ORDER BY h.number, h.identifier
