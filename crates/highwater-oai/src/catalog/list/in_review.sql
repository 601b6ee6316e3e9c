SELECT id, oai_id, datestamp, by_day, sets, state, review
FROM record
WHERE state = 'review' AND id > ?1
ORDER BY id
LIMIT ?2
