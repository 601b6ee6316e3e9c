SELECT name, kind, worklist, drained, last_drained_at, marker,
       halted_at, halted_by, halted_why, halted_evidence, halted_until, paused_at, paused_by, paused_why
FROM job
WHERE name = ?1
