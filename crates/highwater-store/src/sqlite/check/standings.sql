SELECT count(*)
FROM standing AS s
JOIN item AS i ON i.worklist = s.worklist AND i.position = s.position
WHERE s.worklist = ?1 AND s.position < ?2
