UPDATE job SET drained = ?2 WHERE name = ?1
