SELECT job, state, total, unpinned, unpinned_duplicates FROM worklist WHERE id = ?1
