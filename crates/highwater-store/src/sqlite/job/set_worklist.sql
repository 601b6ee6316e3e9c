UPDATE job SET worklist = ?2, drained = 0 WHERE name = ?1
