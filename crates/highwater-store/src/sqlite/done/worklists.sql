SELECT id
FROM worklist INDEXED BY worklist_by_job
WHERE job = ?1 AND id >= ?2 AND forgotten < 2
ORDER BY id
LIMIT ?3
