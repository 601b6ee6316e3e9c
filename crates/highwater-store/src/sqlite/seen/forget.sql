DELETE FROM scratch.seen WHERE worklist = ?1
