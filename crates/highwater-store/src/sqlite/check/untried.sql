SELECT count(*)
FROM untried AS u
JOIN item AS i ON i.worklist = u.worklist AND i.position = u.position
WHERE u.worklist = ?1 AND u.position < ?2
