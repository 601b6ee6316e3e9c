INSERT INTO quarantine (set_aside_at, source, worklist, position, why, row)
SELECT ?3, 'untried', u.worklist, u.position, 'the item has an outcome', json_object('worklist', u.worklist, 'position', u.position)
FROM untried AS u
CROSS JOIN standing AS s ON s.worklist = u.worklist AND s.position = u.position
WHERE u.worklist = ?1 AND u.position < ?2
