SELECT id, oai_id, datestamp, by_day, sets, state
FROM record
WHERE state <> 'review' AND (datestamp, id) > (:after, :after_row) AND datestamp <= :until
ORDER BY datestamp, id
LIMIT :limit
