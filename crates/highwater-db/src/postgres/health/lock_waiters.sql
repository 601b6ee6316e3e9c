-- Every role sees every lock, and which database a session is in.
SELECT count(DISTINCT waiter.pid)::float8
FROM pg_locks AS waiter
JOIN pg_stat_activity AS session USING (pid)
WHERE NOT waiter.granted AND session.datname = current_database()
