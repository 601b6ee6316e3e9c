SELECT identifier FROM header WHERE crawl = ?1 AND deleted = ?2 ORDER BY number, identifier
