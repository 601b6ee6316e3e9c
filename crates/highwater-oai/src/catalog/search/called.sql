SELECT DISTINCT work FROM identifier
WHERE value = ?1 OR (value = ?2 AND type = 'isbn') OR (value = ?3 AND type = 'doi')
ORDER BY work
LIMIT ?4
