SELECT count(*) FROM item WHERE worklist = ?1 AND position < ?2
