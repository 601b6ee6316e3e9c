SELECT bytes, zstd FROM metadata WHERE record = ?1
