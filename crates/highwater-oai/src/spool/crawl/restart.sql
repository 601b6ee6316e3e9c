UPDATE crawl
SET walk = NULL, pages = 0, listed = 0, unrecognised = 0, unrecognised_named = '', first_response_at = NULL, last_response_at = NULL
WHERE id = ?1
