DELETE FROM work_text WHERE rowid = ?1
