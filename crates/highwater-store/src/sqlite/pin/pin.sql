-- The one update that makes its items visible.
UPDATE worklist
SET state = 'pinned', pinned_at = ?2, closed_at = NULL, sha256 = ?3,
    input_source = ?4, input_sha256 = ?5, input_sign = ?6,
    total = total + unpinned, duplicates = duplicates + unpinned_duplicates, unpinned = 0, unpinned_duplicates = 0
WHERE id = ?1
