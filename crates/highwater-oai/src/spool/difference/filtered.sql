SELECT count(*)
FROM filtered AS f
JOIN header AS h ON h.crawl = ?1 AND h.identifier = f.identifier AND h.deleted = 0
LEFT JOIN have AS v ON v.identifier = f.identifier
WHERE v.identifier IS NULL
