SELECT coalesce(string_agg(leaf, E'\x1e' ORDER BY leaf), '')
FROM (
    SELECT concat_ws(E'\x1f', t.alias, p.relid::oid, coalesce(pg_relation_filenode(p.relid), 0),
                     coalesce(CASE WHEN isfinite(b.first) THEN floor(extract(epoch FROM b.first))::bigint::text END, ''),
                     coalesce(CASE WHEN isfinite(b.last) THEN floor(extract(epoch FROM b.last))::bigint::text END, ''),
                     p.relid::text) AS leaf
    FROM (VALUES {tables}) AS t (alias, name, event_time)
    CROSS JOIN LATERAL pg_partition_tree(to_regclass(t.name)) AS p
    LEFT JOIN pg_class AS c ON c.oid = p.relid
        AND pg_get_partkeydef(p.parentrelid) = 'RANGE (' || quote_ident(t.event_time) || ')'
    CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid)) AS e (bounds)
    CROSS JOIN LATERAL (SELECT (substring(e.bounds FROM '^FOR VALUES FROM \(''([^'']+)''\)'))::timestamptz,
                               (substring(e.bounds FROM ' TO \(''([^'']+)''\)$'))::timestamptz) AS b (first, last)
    WHERE p.isleaf
) AS leaves
