SELECT passage.page, passage.heading, passage.begin_line, passage.end_line, passage.first_page, passage.last_page, score
FROM (SELECT rowid AS id, bm25(passage_text, 4.0, 1.0, 1.0) AS score
    FROM passage_text WHERE passage_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2) AS found
    CROSS JOIN passage ON passage.id = found.id
ORDER BY score, passage.page, passage.begin_line
LIMIT ?3
