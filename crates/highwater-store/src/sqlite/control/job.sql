SELECT halted_at IS NOT NULL, paused_at IS NOT NULL, revision FROM job WHERE name = ?1
