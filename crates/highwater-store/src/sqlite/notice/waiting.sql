SELECT no, job, target, change, body, queued_at, attempts, last_error
FROM notice
WHERE delivered_at IS NULL
ORDER BY no
LIMIT ?1
