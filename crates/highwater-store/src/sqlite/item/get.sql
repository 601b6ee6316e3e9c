SELECT i.key, s.outcome, s.detail, s.attempts, s.deferrals, s.recorded_at, s.recorded_no, s.pass
FROM item AS i
LEFT JOIN standing AS s ON s.worklist = i.worklist AND s.position = i.position
WHERE i.worklist = ?1 AND i.position = ?2
