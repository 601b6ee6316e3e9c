UPDATE job SET marker = ?2 WHERE name = ?1
