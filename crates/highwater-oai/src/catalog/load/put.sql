INSERT INTO record (oai_id, suffix, number, datestamp, by_day, sets, state, review, hash, loaded_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (oai_id) DO UPDATE SET
    datestamp = excluded.datestamp, by_day = excluded.by_day, sets = excluded.sets, state = excluded.state,
    review = excluded.review, hash = excluded.hash, loaded_at = excluded.loaded_at
RETURNING id
