SELECT position FROM standing WHERE worklist = ?1 AND position > ?2 AND outcome = 'done' ORDER BY position LIMIT ?3
