-- CROSS JOIN keeps the order of the tables: the other way round it would read the second one for each row of the first.
SELECT count(*)
FROM standing AS s
CROSS JOIN item AS i ON i.worklist = s.worklist AND i.position = s.position
WHERE s.worklist = ?1 AND s.position < ?2
