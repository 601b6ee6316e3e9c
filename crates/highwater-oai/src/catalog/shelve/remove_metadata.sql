DELETE FROM metadata WHERE record = ?1
