SELECT id, oai_id, datestamp, by_day, sets, state FROM record WHERE oai_id = ?1 AND state <> 'review'
