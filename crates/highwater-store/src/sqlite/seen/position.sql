SELECT position FROM scratch.seen WHERE worklist = ?1 AND hash = ?2
