SELECT count(*)
FROM standing INDEXED BY standing_retry
WHERE worklist = ?1 AND rank > -1 AND outcome <> 'done' AND outcome <> 'gone' AND outcome <> 'present' AND outcome <> 'skipped'
  AND outcome <> 'review'
