UPDATE job SET last_drained_at = ?2 WHERE name = ?1
