-- Clients at work in this database but the one that asks; one that hides what it does counts. NULL where the role may not see what
-- others do.
SELECT CASE
    WHEN bool_or(session.state IS NULL AND session.query = '<insufficient privilege>') THEN NULL
    ELSE count(*) FILTER (
        WHERE session.backend_type = 'client backend'
        AND session.state IN ('active', 'fastpath function call', 'disabled')
    )
END::float8
FROM pg_stat_activity AS session
WHERE session.datname = current_database() AND session.pid <> pg_backend_pid()
