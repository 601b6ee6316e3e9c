SELECT v.identifier
FROM have AS v
LEFT JOIN header AS h ON h.crawl = ?1 AND h.identifier = v.identifier
WHERE h.identifier IS NULL
ORDER BY v.identifier
