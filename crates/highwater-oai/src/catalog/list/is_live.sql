SELECT 1 FROM record WHERE state = 'live' AND oai_id = ?1
