INSERT INTO untried (worklist, position)
SELECT worklist, position FROM item WHERE worklist = ?1 AND position >= ?2 ORDER BY position
