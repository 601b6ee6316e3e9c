SELECT value FROM subject WHERE work = ?1 ORDER BY position
