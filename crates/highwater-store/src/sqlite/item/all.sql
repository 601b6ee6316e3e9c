SELECT position
FROM item
WHERE worklist = ?1 AND position > ?2 AND position < (SELECT total FROM worklist WHERE id = ?1)
ORDER BY position
LIMIT ?3
