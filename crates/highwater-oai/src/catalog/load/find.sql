SELECT id, datestamp, by_day, sets, state, hash FROM record WHERE oai_id = ?1
