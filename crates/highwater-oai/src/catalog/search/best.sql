SELECT rowid FROM work_text WHERE work_text MATCH ?1 ORDER BY rank, rowid DESC LIMIT ?2 OFFSET ?3
