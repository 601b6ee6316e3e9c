-- Fails where the rollup {comment} is not complete, as `highwater rollup guard` says it.
DO $guard$
DECLARE
    threshold CONSTANT interval := interval '{threshold} seconds';
    job CONSTANT text := {job};
    clock timestamptz;
    newest timestamptz;
    watermark timestamptz;
    queued timestamptz;
    begun timestamptz;
    first timestamptz;
    unsettled text;
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
    clock := clock_timestamp();
    IF is_there THEN
        EXECUTE {unsettled} INTO unsettled;
        IF unsettled IS NOT NULL THEN
            RAISE EXCEPTION 'rollup % is not proved complete: %; no trigger fires for that, and no tick has settled it', job, unsettled
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
        END IF;
        EXECUTE {queued} INTO queued;
    END IF;
    -- Without an event there is nothing to prove, but that no change waits.
    IF newest IS NULL AND (clock - queued > threshold) IS NOT TRUE THEN
        RETURN;
    END IF;
    IF NOT is_there THEN
        RAISE EXCEPTION 'rollup % is not installed: there are events, and no table %', job, {table}
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
    END IF;
    IF watermark IS NULL THEN
        RAISE EXCEPTION 'rollup % is {empty}: the newest event is of %', job, coalesce(newest::text, 'none')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
    END IF;
    EXECUTE {begun} INTO begun;
    IF begun IS NOT NULL THEN
        EXECUTE {first} INTO first;
        IF first < begun THEN
            RAISE EXCEPTION 'rollup % is seeded in part: from % on, and the earliest event is of %', job, begun, first
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
        END IF;
    END IF;
    -- No watermark ever passes the clock: an event that is dated later counts as if it were of now.
    IF newest > clock THEN
        newest := clock;
    END IF;
    IF watermark > clock + threshold THEN
        RAISE EXCEPTION 'rollup % is not proved complete: its watermark % is later than the clock', job, watermark
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format('Run: highwater verify %s', job);
    END IF;
    late := greatest(newest - watermark, clock - queued);
    IF late > threshold THEN
        RAISE EXCEPTION 'rollup % is behind by %: watermark %, newest event %, oldest queued change %; it may be %',
            job, late, watermark, coalesce(newest::text, 'none'), coalesce(queued::text, 'none'), threshold
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = how;
    END IF;
END
$guard$;
