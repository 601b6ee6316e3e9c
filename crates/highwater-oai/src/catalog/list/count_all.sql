SELECT live + deleted FROM figure
