SELECT count(*)
FROM standing INDEXED BY standing_retry
WHERE worklist = ?1 AND rank > -1 AND outcome NOT IN ('done', 'gone', 'present', 'skipped', 'review')
