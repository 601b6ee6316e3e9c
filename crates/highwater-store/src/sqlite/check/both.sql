SELECT count(*)
FROM untried AS u
JOIN standing AS s ON s.worklist = u.worklist AND s.position = u.position
WHERE u.worklist = ?1
