INSERT INTO record (oai_id, suffix, number, datestamp, by_day, sets, state, review, hash, loaded_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
