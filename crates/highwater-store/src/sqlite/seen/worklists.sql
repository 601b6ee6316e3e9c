SELECT count(*) FROM scratch.seen_worklist
