SELECT u.position, i.key, i.payload, n.kind, n.body
FROM untried AS u
JOIN item AS i ON i.worklist = u.worklist AND i.position = u.position
LEFT JOIN intent AS n ON n.worklist = u.worklist AND n.position = u.position
WHERE u.worklist = ?1 AND u.position > ?2 AND u.position < (SELECT total FROM worklist WHERE id = ?1)
  -- One that has an outcome is never run again, whatever stands here.
  AND NOT EXISTS (SELECT 1 FROM standing AS s WHERE s.worklist = u.worklist AND s.position = u.position)
ORDER BY u.position
LIMIT ?3
