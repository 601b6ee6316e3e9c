-- The last hash of the next ?3 entries after ?2.
SELECT max(hash)
FROM (SELECT hash FROM scratch.seen WHERE worklist = ?1 AND hash > ?2 ORDER BY hash LIMIT ?3)
