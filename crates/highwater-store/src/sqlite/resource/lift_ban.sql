UPDATE resource
SET ban_until = NULL, ban_at = NULL, ban_by = NULL, ban_why = NULL
WHERE name = ?1 AND ban_until > ?2
