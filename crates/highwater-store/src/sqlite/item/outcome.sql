SELECT position
FROM standing INDEXED BY standing_not_done
WHERE worklist = ?1 AND outcome = ?4 AND outcome <> 'done' AND position > ?2
ORDER BY position
LIMIT ?3
