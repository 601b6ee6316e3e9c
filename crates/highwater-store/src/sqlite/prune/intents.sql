DELETE FROM intent
WHERE worklist = ?1 AND position IN (SELECT position FROM intent WHERE worklist = ?1 ORDER BY position LIMIT ?2)
