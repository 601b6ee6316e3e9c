SELECT count(*) FROM work_text WHERE work_text MATCH ?1
