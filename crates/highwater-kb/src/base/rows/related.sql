SELECT other.page, count(*) AS shared, min(other.sequence)
FROM (SELECT sequence FROM contribution WHERE page = ?1 ORDER BY sequence LIMIT ?2) AS own
    CROSS JOIN contribution AS other ON other.sequence = own.sequence
    CROSS JOIN page ON page.name = other.page
WHERE other.page <> ?1 AND page.stands = 1
GROUP BY other.page
ORDER BY shared DESC, other.page
LIMIT ?3
