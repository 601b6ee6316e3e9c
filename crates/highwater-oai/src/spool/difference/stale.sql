SELECT h.identifier
FROM header AS h
JOIN have AS v ON v.identifier = h.identifier
WHERE h.crawl = ?1 AND h.deleted = 1
ORDER BY h.number, h.identifier
