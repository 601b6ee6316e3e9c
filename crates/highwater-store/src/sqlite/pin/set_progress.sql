UPDATE worklist SET unpinned = ?2, unpinned_duplicates = ?3 WHERE id = ?1
