SELECT oai_id, title, year, publisher FROM work JOIN record USING (id) WHERE id = ?1
