SELECT u.position, i.key, i.payload, n.kind, n.body
FROM untried AS u
JOIN item AS i ON i.worklist = u.worklist AND i.position = u.position
LEFT JOIN intent AS n ON n.worklist = u.worklist AND n.position = u.position
WHERE u.worklist = ?1 AND u.position > ?2 AND u.position < (SELECT total FROM worklist WHERE id = ?1)
ORDER BY u.position
LIMIT ?3
