DELETE FROM untried
WHERE worklist = ?1 AND position < ?2
  AND EXISTS (SELECT 1 FROM standing AS s WHERE s.worklist = untried.worklist AND s.position = untried.position)
