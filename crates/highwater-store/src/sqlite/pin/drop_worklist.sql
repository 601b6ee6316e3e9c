DELETE FROM worklist WHERE id = ?1 AND state = 'discovering'
