INSERT INTO metadata (record, bytes, zstd) VALUES (?1, ?2, ?3)
ON CONFLICT (record) DO UPDATE SET bytes = excluded.bytes, zstd = excluded.zstd
