SELECT id, job, round, state, input_source, input_sha256, input_sign, sha256, begun_at, pinned_at, closed_at,
       total, done, gone, present, skipped, review, retry, duplicates,
       judged, failed, judged_gone, generation, recorded
FROM worklist
WHERE id = ?1
