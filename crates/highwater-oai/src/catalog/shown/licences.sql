SELECT name, url FROM licence WHERE work = ?1 ORDER BY position
