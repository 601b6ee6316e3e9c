-- What can be listed as open, and what is called untried though it has an outcome.
-- CROSS JOIN keeps the order of the tables: the other way round it would read the second one for each row of the first.
SELECT (SELECT count(*)
        FROM untried AS u
        CROSS JOIN item AS i ON i.worklist = u.worklist AND i.position = u.position
        WHERE u.worklist = ?1 AND u.position < ?2)
     + (SELECT count(*)
        FROM standing INDEXED BY standing_retry
        WHERE worklist = ?1 AND rank > -1 AND outcome <> 'done' AND outcome <> 'gone' AND outcome <> 'present'
            AND outcome <> 'skipped' AND outcome <> 'review'),
       (SELECT count(*)
        FROM untried AS u
        CROSS JOIN standing AS s ON s.worklist = u.worklist AND s.position = u.position
        WHERE u.worklist = ?1 AND u.position < ?2)
