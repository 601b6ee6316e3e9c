SELECT id, job, begun_at, ended_at, host, pid, who, budget_items, reason, exit, message,
       done, gone, present, review, retry, items, contacts, bytes, lock_us, plan_us, prepare_us, commit_us, seal_us, throttle
FROM pass
WHERE job = ?1
ORDER BY id DESC
LIMIT ?2
