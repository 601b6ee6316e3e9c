-- CROSS JOIN keeps the order of the tables: the other way round it would read the second one for each row of the first.
SELECT count(*)
FROM untried AS u
CROSS JOIN item AS i ON i.worklist = u.worklist AND i.position = u.position
WHERE u.worklist = ?1 AND u.position < ?2
