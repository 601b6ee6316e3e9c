SELECT coalesce(sum(deleted = 0), 0), coalesce(sum(deleted = 1), 0) FROM header WHERE crawl = ?1
