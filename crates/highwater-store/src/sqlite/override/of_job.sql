SELECT key, value, set_at, set_by, why FROM override WHERE job = ?1 ORDER BY key
