UPDATE job SET revision = revision + 1 WHERE name = ?1
