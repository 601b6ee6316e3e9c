SELECT id FROM oai_set WHERE spec = ?1
