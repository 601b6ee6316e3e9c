SELECT count(*)
FROM item_key AS k
JOIN item AS i ON i.worklist = k.worklist AND i.position = k.position
WHERE k.worklist = ?1 AND k.position < ?2
