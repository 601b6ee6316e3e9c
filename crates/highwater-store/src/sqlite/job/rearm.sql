UPDATE job
SET halted_at = NULL, halted_by = NULL, halted_why = NULL, halted_evidence = NULL, halted_until = NULL
WHERE name = ?1 AND halted_at IS NOT NULL
