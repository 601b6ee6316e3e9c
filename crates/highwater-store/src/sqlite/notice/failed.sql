UPDATE notice SET attempts = attempts + 1, last_error = ?2, due_at = ?3 WHERE no = ?1 AND delivered_at IS NULL
