-- CROSS JOIN keeps the order of the tables: the other way round it would read the second one for each row of the first.
SELECT count(*)
FROM item_key AS k
CROSS JOIN item AS i ON i.worklist = k.worklist AND i.position = k.position
WHERE k.worklist = ?1 AND k.position < ?2
