SELECT id FROM worklist WHERE job = ?1 AND state = 'discovering' ORDER BY id LIMIT 1
