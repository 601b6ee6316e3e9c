-- The most exact first; of several that are called the same, the live and oldest.
SELECT id FROM (
    SELECT 1 AS rank, id, state <> 'live' AS gone FROM record WHERE oai_id = ?1
    UNION ALL
    SELECT 2, id, state <> 'live' FROM record WHERE suffix = ?1
    UNION ALL
    SELECT 3, work, 0 FROM identifier WHERE value = ?2 AND type = 'isbn'
    UNION ALL
    SELECT 4, work, 0 FROM identifier WHERE value = ?3 AND type = 'doi'
    UNION ALL
    SELECT 5, work, 0 FROM identifier WHERE value = ?1
)
ORDER BY rank, gone, id
LIMIT 1
