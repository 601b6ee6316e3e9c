-- The newest of each job stays, and so does one that holds a lock.
DELETE FROM pass
WHERE id IN (
    SELECT id
    FROM pass AS old
    WHERE begun_at < ?1
      AND id < (SELECT max(id) FROM pass WHERE job = old.job)
      AND id NOT IN (SELECT holder_pass FROM resource WHERE holder_pass IS NOT NULL)
    ORDER BY id
    LIMIT ?2
)
