-- Where the target would be made: the schema that is named, else the first one of the search path that is there.
SELECT coalesce(n.nspname::text, ''),
       coalesce(has_schema_privilege(n.oid, 'CREATE'), false),
       current_setting('search_path'),
       to_regtype($2::text) IS NOT NULL AND to_regclass($2::text) IS NULL,
       current_user::text
FROM (SELECT coalesce(nullif($1::text, ''), current_schema()::text) AS name) AS wanted
LEFT JOIN pg_namespace AS n ON n.nspname = wanted.name
