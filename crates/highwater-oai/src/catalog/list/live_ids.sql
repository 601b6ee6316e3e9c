SELECT oai_id FROM record WHERE state = 'live' AND oai_id > ?1 ORDER BY oai_id LIMIT ?2
