SELECT (SELECT count(*) FROM work WHERE id NOT IN (SELECT id FROM work_text_docsize))
     + (SELECT count(*) FROM work_text_docsize WHERE id NOT IN (SELECT id FROM work))
