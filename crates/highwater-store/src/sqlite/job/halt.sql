-- The first evidence stands.
UPDATE job
SET halted_at = ?2, halted_by = ?3, halted_why = ?4, halted_evidence = ?5, halted_until = ?6
WHERE name = ?1 AND halted_at IS NULL
