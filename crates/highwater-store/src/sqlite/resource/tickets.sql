SELECT job, host, pid, since, lapses_at
FROM ticket
WHERE resource = ?1 AND lapses_at > ?2
ORDER BY since, pid, host, job
LIMIT ?3
