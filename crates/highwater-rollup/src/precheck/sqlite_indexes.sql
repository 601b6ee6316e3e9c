-- The indexes of a table but those of some rows only: whether they allow a value once, and their columns; an expression has
-- no name.
SELECT l."unique", group_concat(ifnull(x.name, ''), char(31) ORDER BY x.seqno)
FROM pragma_index_list(?1) AS l
JOIN pragma_index_xinfo(l.name) AS x ON x."key" = 1
WHERE NOT l.partial
GROUP BY l.seq, l."unique"
ORDER BY l.seq
