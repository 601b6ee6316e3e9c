-- Only ever later (R2): an earlier end changes no row.
UPDATE resource
SET ban_until = ?2, ban_at = ?3, ban_by = ?4, ban_why = ?5
WHERE name = ?1 AND (ban_until IS NULL OR ban_until < ?2)
