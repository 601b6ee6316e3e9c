SELECT id FROM worklist WHERE state <> 'discovering' AND forgotten = 0 ORDER BY id
