SELECT s.position, i.key, i.payload, n.kind, n.body, s.outcome, s.attempts, s.rank
FROM standing AS s INDEXED BY standing_retry
JOIN item AS i ON i.worklist = s.worklist AND i.position = s.position
LEFT JOIN intent AS n ON n.worklist = s.worklist AND n.position = s.position
WHERE s.worklist = ?1 AND s.outcome <> 'done' AND s.outcome <> 'gone' AND s.outcome <> 'present' AND s.outcome <> 'skipped'
  AND s.outcome <> 'review'
  AND (s.rank, s.position) > (?2, ?3) AND s.pass IS NOT ?4
ORDER BY s.rank, s.position
LIMIT ?5
