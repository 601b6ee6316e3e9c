UPDATE notice SET delivered_at = ?2 WHERE no = ?1 AND delivered_at IS NULL
