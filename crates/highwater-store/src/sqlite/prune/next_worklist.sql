-- States that are over, and never one that a job still drains: `retry` and `--extend` open a drained one again.
SELECT id
FROM worklist INDEXED BY worklist_to_forget
WHERE closed_at IS NOT NULL AND closed_at < ?1 AND forgotten < 2 AND state IN ('drained', 'superseded')
ORDER BY closed_at
LIMIT 1
