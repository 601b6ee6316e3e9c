SELECT no, at, job, resource, act, who, why FROM event WHERE job = ?4 AND no > ?1 AND at >= ?2 ORDER BY no LIMIT ?3
