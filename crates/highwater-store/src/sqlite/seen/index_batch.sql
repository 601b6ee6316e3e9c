INSERT INTO item_key (worklist, hash, position)
SELECT worklist, hash, position FROM scratch.seen WHERE worklist = ?1 AND hash > ?2 AND hash <= ?3 ORDER BY hash
ON CONFLICT DO NOTHING
