SELECT type, value FROM identifier WHERE work = ?1 ORDER BY position
