DELETE FROM untried
WHERE worklist = ?1 AND position IN (SELECT position FROM untried WHERE worklist = ?1 ORDER BY position LIMIT ?2)
