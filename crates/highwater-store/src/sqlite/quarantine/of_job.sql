SELECT count(*), max(set_aside_at)
FROM quarantine
WHERE worklist = (SELECT worklist FROM job WHERE name = ?1)
