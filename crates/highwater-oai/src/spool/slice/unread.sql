SELECT no, identifier, why, datestamp, sets, deleted FROM slice_review
WHERE slice = ?1 AND no > ?2 AND datestamp IS NOT NULL
ORDER BY no LIMIT ?3
