SELECT no, identifier, datestamp, sets, deleted, metadata
FROM slice_record
WHERE slice = ?1 AND no > ?2
ORDER BY no
LIMIT ?3
