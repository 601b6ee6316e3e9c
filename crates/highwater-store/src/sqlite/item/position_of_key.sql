SELECT k.position
FROM item_key AS k
JOIN item AS i ON i.worklist = k.worklist AND i.position = k.position
WHERE k.worklist = ?1 AND k.hash = ?2 AND i.key = ?3 AND k.position < (SELECT total FROM worklist WHERE id = ?1)
