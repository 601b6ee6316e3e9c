SET TIME ZONE 'UTC';
-- A client that is gone, or whose host is, is noticed while a statement runs: what it had locked is free soon after.
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3;
-- From PostgreSQL 14 on.
SELECT set_config(name, '1s', false) FROM pg_catalog.pg_settings WHERE name = 'client_connection_check_interval'
