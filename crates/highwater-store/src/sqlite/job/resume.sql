UPDATE job SET paused_at = NULL, paused_by = NULL, paused_why = NULL WHERE name = ?1 AND paused_at IS NOT NULL
