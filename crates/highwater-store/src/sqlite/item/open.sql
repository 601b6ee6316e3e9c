-- Three lists in order, merged without sorting.
SELECT position FROM untried
WHERE worklist = ?1 AND position > ?2 AND position < (SELECT total FROM worklist WHERE id = ?1)
  AND NOT EXISTS (SELECT 1 FROM standing AS s WHERE s.worklist = untried.worklist AND s.position = untried.position)
UNION ALL
SELECT position FROM standing INDEXED BY standing_not_done
WHERE worklist = ?1 AND outcome = 'failed' AND outcome <> 'done' AND position > ?2
UNION ALL
SELECT position FROM standing INDEXED BY standing_not_done
WHERE worklist = ?1 AND outcome = 'deferred' AND outcome <> 'done' AND position > ?2
ORDER BY position
LIMIT ?3
