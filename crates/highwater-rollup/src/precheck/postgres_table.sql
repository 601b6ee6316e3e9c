-- What there is under a name, as the session's search path finds it.
SELECT c.relkind::text,
       c.relpersistence = 't',
       n.nspname IN ('pg_catalog', 'information_schema', 'pg_toast'),
       has_table_privilege(c.oid, 'SELECT'),
       has_table_privilege(c.oid, 'TRIGGER'),
       pg_has_role(c.relowner, 'USAGE'),
       pg_get_userbyid(c.relowner)::text,
       row_security_active(c.oid),
       EXISTS (SELECT 1 FROM pg_inherits AS i WHERE i.inhparent = c.oid AND c.relkind = 'r'),
       EXISTS (SELECT 1 FROM pg_partition_tree(c.oid) AS t JOIN pg_class AS p ON p.oid = t.relid WHERE p.relkind = 'f'),
       EXISTS (SELECT 1 FROM pg_subscription_rel AS s WHERE s.srrelid = c.oid),
       current_user::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1::text)
