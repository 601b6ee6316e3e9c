SELECT name, epoch, holder_host, holder_pid, holder_since, holder_job, holder_pass, ban_until, ban_at, ban_by, ban_why
FROM resource
WHERE name = ?1
