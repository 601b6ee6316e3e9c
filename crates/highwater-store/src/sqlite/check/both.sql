-- CROSS JOIN keeps the order of the tables: the other way round it would read the second one for each row of the first.
SELECT count(*)
FROM untried AS u
CROSS JOIN standing AS s ON s.worklist = u.worklist AND s.position = u.position
WHERE u.worklist = ?1
