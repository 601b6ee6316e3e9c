-- Who holds the advisory lock of a key of 64 bits. What the role may not see of others is left out.
SELECT concat_ws(
    ' ',
    'process ' || l.pid,
    'of ' || nullif(a.usename::text, ''),
    '(' || nullif(a.application_name, '') || ')',
    'on ' || coalesce(a.client_addr::text, a.client_hostname),
    'since ' || to_char(a.backend_start, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
)
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND ((l.classid::bigint << 32) | l.objid::bigint) = $1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
LIMIT 1
