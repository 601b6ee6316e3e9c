SELECT position FROM untried WHERE worklist = ?1 AND position BETWEEN ?2 AND ?3
