UPDATE crawl
SET walk = ?2, pages = pages + 1, listed = listed + ?3, unrecognised = unrecognised + ?4, unrecognised_named = ?5,
    first_response_at = coalesce(first_response_at, ?6), last_response_at = coalesce(?6, last_response_at)
WHERE id = ?1
