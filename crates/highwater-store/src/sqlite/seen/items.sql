SELECT items FROM scratch.seen_worklist WHERE worklist = ?1
