SELECT position, key FROM item WHERE worklist = ?1 AND position >= ?2 ORDER BY position
