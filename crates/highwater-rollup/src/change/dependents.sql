-- A view follows the table that it was made on, whatever that is called later; the others would be dropped with it.
SELECT what
FROM (
    SELECT DISTINCT 'the view ' || r.ev_class::regclass AS what
    FROM pg_depend AS d
    JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = to_regclass($1::text) AND r.ev_class <> d.refobjid
    UNION ALL
    SELECT 'the index ' || indexrelid::regclass FROM pg_index
    WHERE indrelid = to_regclass($1::text) AND indexrelid IS DISTINCT FROM to_regclass($2::text)
    UNION ALL
    SELECT 'the trigger ' || tgname FROM pg_trigger WHERE tgrelid = to_regclass($1::text) AND NOT tgisinternal
    UNION ALL
    SELECT 'the constraint ' || conname FROM pg_constraint
    WHERE (conrelid = to_regclass($1::text) OR confrelid = to_regclass($1::text)) AND contype <> 'n'
    UNION ALL
    SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = to_regclass($1::text)
    UNION ALL
    SELECT 'the publication ' || p.pubname FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
    WHERE r.prrelid = to_regclass($1::text)
    UNION ALL
    SELECT 'the grant on the column ' || attname FROM pg_attribute
    WHERE attrelid = to_regclass($1::text) AND attacl IS NOT NULL AND NOT attisdropped
) AS dependents
ORDER BY what
