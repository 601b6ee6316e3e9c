DELETE FROM standing WHERE worklist = ?1 AND position = ?2
