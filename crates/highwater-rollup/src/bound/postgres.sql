-- The earlier of now() - lag and the oldest transaction that is open in this database, whatever it did so far: it may write yet.
WITH open AS (
    SELECT a.pid, a.xact_start, a.state, a.application_name, a.usename
    FROM pg_stat_activity AS a
    WHERE a.datname = current_database()
      AND a.pid <> pg_backend_pid()
      AND (a.xact_start IS NOT NULL OR a.state = 'disabled')
      AND a.backend_type NOT IN ('autovacuum worker', 'walsender')
      AND NOT (coalesce(a.usename, '') = ANY (string_to_array($2::text, E'\x1f'))
               OR coalesce(a.application_name, '') = ANY (string_to_array($2::text, E'\x1f')))
),
oldest AS (SELECT pid, xact_start, application_name, usename FROM open WHERE state IS DISTINCT FROM 'disabled' ORDER BY xact_start LIMIT 1),
lagged AS (SELECT clock_timestamp() - $1::bigint * interval '1 microsecond' AS at)
SELECT pg_is_in_recovery()::int::bigint,
       (pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
        OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user))::int::bigint,
       current_user::text,
       floor(extract(epoch FROM least(lagged.at, (SELECT xact_start FROM oldest))) * 1000000)::bigint,
       (SELECT pid::bigint FROM oldest WHERE xact_start < lagged.at),
       (SELECT min(pid)::bigint FROM open WHERE state = 'disabled'),
       (SELECT application_name FROM oldest),
       (SELECT usename::text FROM oldest)
FROM lagged
