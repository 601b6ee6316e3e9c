INSERT INTO membership (oai_set, datestamp, record) VALUES (?1, ?2, ?3)
