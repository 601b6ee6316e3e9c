INSERT INTO membership (oai_set, datestamp, record) SELECT id, ?2, ?3 FROM oai_set WHERE spec = ?1
