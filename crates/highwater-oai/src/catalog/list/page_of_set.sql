SELECT record.id, oai_id, record.datestamp, by_day, sets, state
FROM membership CROSS JOIN record ON record.id = membership.record
WHERE oai_set = (SELECT id FROM oai_set WHERE spec = :set)
  AND (membership.datestamp, membership.record) > (:after, :after_row) AND membership.datestamp <= :until
ORDER BY membership.datestamp, membership.record
LIMIT :limit
