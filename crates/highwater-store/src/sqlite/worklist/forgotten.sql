SELECT forgotten FROM worklist WHERE id = ?1
