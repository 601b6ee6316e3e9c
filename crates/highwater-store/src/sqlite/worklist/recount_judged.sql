SELECT count(*),
       count(*) FILTER (WHERE judged_as = 'failed'),
       count(*) FILTER (WHERE judged_as = 'gone')
FROM standing
WHERE worklist = ?1 AND judged_generation = ?2
