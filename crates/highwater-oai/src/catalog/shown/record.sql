SELECT oai_id, datestamp, by_day, sets, state, review FROM record WHERE id = ?1
