-- Fails where the rollup {comment} is not complete, as `highwater rollup guard` says it.
DO $guard$
DECLARE
    threshold CONSTANT interval := interval '{threshold} seconds';
    job CONSTANT text := {job};
    clock timestamptz;
    newest timestamptz;
    watermark timestamptz;
    queued timestamptz;
    late interval;
    is_there boolean;
    how CONSTANT text := format('Run: highwater run %s', job);
BEGIN
    is_there := to_regclass({quoted}) IS NOT NULL;
    -- The watermark first: what is inserted in between makes this stricter, never laxer.
    IF is_there THEN
        EXECUTE {mark} INTO watermark;
    END IF;
    BEGIN
        EXECUTE {newest} INTO newest;
    EXCEPTION WHEN undefined_table OR undefined_function OR invalid_schema_name THEN
        -- Both are to come, with a later migration.
        IF is_there THEN
            RAISE;
        END IF;
    END;
    IF newest IS NULL THEN
        RETURN;
    END IF;
    IF NOT is_there THEN
        RAISE EXCEPTION 'rollup % is not installed: there are events, and no table %', job, {table}
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
    END IF;
    IF watermark IS NULL THEN
        RAISE EXCEPTION 'rollup % is {empty}: the newest event is of %', job, newest
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
    END IF;
    clock := clock_timestamp();
    -- No watermark ever passes the clock: an event that is dated later counts as if it were of now.
    newest := least(newest, clock);
    IF watermark > clock + threshold THEN
        RAISE EXCEPTION 'rollup % is not proved complete: its watermark % is later than the clock', job, watermark
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Run: highwater verify %s', job);
    END IF;
    EXECUTE {queued} INTO queued;
    late := greatest(newest - watermark, clock - queued);
    IF late > threshold THEN
        RAISE EXCEPTION 'rollup % is behind by %: watermark %, newest event %, oldest queued change %; it may be %',
            job, late, watermark, newest, coalesce(queued::text, 'none'), threshold
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
    END IF;
END
$guard$;
