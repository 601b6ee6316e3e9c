UPDATE crawl SET finished_at = ?2, walk = NULL, short_of = ?3 WHERE id = ?1
