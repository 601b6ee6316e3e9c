SELECT live, deleted, works, review FROM figure
