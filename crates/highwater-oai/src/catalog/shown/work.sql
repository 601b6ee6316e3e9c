SELECT title, other_titles, languages, types, publisher, year, description FROM work WHERE id = ?1
