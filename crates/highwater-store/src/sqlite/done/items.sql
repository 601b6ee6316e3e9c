SELECT s.recorded_no, i.key, s.detail, s.recorded_at
FROM standing AS s INDEXED BY standing_recorded
JOIN item AS i ON i.worklist = s.worklist AND i.position = s.position
WHERE s.worklist = ?1 AND s.recorded_no > ?2 AND s.outcome = 'done'
ORDER BY s.recorded_no
LIMIT ?3
