SELECT no, at, job, resource, act, who, why FROM event WHERE no > ?1 AND at >= ?2 ORDER BY no LIMIT ?3
