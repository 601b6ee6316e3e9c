UPDATE crawl SET finished_at = ?2, first_response_at = ?3, last_response_at = ?4, listed = ?5 WHERE id = ?1
