SELECT current_setting('server_version_num')::bigint,
       current_setting('server_version'),
       pg_is_in_recovery(),
       current_setting('transaction_read_only') = 'on',
       has_database_privilege(current_database(), 'TEMP'),
       current_user::text,
       current_database()::text
