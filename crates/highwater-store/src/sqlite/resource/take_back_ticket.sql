DELETE FROM ticket WHERE resource = ?1 AND host = ?2 AND pid = ?3 AND job = ?4
