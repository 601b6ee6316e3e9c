DELETE FROM intent WHERE worklist = ?1 AND position = ?2
