INSERT INTO untried (worklist, position)
SELECT i.worklist, i.position
FROM item AS i
WHERE i.worklist = ?1 AND i.position < ?2
  AND NOT EXISTS (SELECT 1 FROM untried AS u WHERE u.worklist = i.worklist AND u.position = i.position)
  AND NOT EXISTS (SELECT 1 FROM standing AS s WHERE s.worklist = i.worklist AND s.position = i.position)
