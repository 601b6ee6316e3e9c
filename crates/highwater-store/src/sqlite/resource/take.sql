UPDATE resource
SET epoch = epoch + 1, holder_host = ?2, holder_pid = ?3, holder_since = ?4, holder_job = ?5, holder_pass = ?6
WHERE name = ?1
RETURNING epoch
