INSERT INTO worklist (job, round, state, begun_at)
VALUES (?1, 1 + coalesce((SELECT max(round) FROM worklist WHERE job = ?1), 0), 'discovering', ?2)
RETURNING id
