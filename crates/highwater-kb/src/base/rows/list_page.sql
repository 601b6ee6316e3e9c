INSERT INTO page VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, description = excluded.description,
    documents = excluded.documents, alone = excluded.alone, stands = excluded.stands
