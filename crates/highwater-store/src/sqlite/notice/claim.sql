UPDATE notice
SET due_at = ?2
WHERE no IN (SELECT no FROM notice WHERE delivered_at IS NULL AND due_at <= ?1 ORDER BY due_at, no LIMIT ?3)
RETURNING no, job, target, change, body, queued_at, attempts, last_error
