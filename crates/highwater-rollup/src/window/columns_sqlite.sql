SELECT t.name, t.type,
       t.pk > 0 OR (NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1) WHERE pk > 0)
                    AND t.name IN (SELECT c.name FROM pragma_index_info((SELECT i.name FROM pragma_index_list(?1) AS i
                                                                        WHERE i."unique" AND NOT i.partial ORDER BY i.seq LIMIT 1)) AS c))
FROM pragma_table_xinfo(?1) AS t
WHERE t.hidden <> 1
ORDER BY t.cid
