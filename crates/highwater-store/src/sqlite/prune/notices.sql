DELETE FROM notice WHERE no IN (SELECT no FROM notice WHERE delivered_at < ?1 ORDER BY no LIMIT ?2)
