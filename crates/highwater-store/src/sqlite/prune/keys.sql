DELETE FROM item_key
WHERE worklist = ?1 AND hash IN (SELECT hash FROM item_key WHERE worklist = ?1 ORDER BY hash LIMIT ?2)
