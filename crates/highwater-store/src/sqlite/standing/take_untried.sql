DELETE FROM untried WHERE worklist = ?1 AND position = ?2
