-- Only what this pass still holds: another may have taken over.
UPDATE resource
SET holder_host = NULL, holder_pid = NULL, holder_since = NULL, holder_job = NULL, holder_pass = NULL
WHERE holder_pass = ?1
