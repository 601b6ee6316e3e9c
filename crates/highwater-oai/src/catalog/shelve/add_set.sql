INSERT INTO oai_set (spec) VALUES (?1)
