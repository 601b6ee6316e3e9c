CREATE TABLE task_usage (
    id bigserial PRIMARY KEY,
    task_id bigint NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    tokens bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON task_usage (updated_at);
CREATE INDEX ON task_usage (task_id, created_at);

CREATE TABLE task_usage_hourly (
    bucket_hour timestamptz NOT NULL,
    task_id bigint NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    tokens bigint NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (bucket_hour, task_id, provider, model)
);

CREATE TABLE task_usage_hourly_dirty (
    bucket_hour timestamptz NOT NULL,
    task_id bigint NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    PRIMARY KEY (bucket_hour, task_id, provider, model)
);

CREATE TABLE task_usage_hourly_rollup_state (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    watermark_at timestamptz DEFAULT 'epoch'
);
INSERT INTO task_usage_hourly_rollup_state DEFAULT VALUES;

CREATE FUNCTION enqueue_task_usage_dirty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_usage_hourly_dirty
    VALUES (date_trunc('hour', OLD.created_at, 'UTC'), OLD.task_id, OLD.provider, OLD.model)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER task_usage_dirty AFTER UPDATE OR DELETE ON task_usage
    FOR EACH ROW EXECUTE FUNCTION enqueue_task_usage_dirty();

-- Recomputes every key that changed between two times, and every one that is queued, and replaces its bucket.
CREATE FUNCTION rollup_task_usage_hourly_window(p_from timestamptz, p_to timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_rows bigint;
    v_gone bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(4246) THEN
        RETURN 0;
    END IF;
    CREATE TEMP TABLE touched ON COMMIT DROP AS
        SELECT DISTINCT date_trunc('hour', created_at, 'UTC') AS bucket_hour, task_id, provider, model
        FROM task_usage
        WHERE updated_at >= p_from AND updated_at < p_to
        UNION
        SELECT bucket_hour, task_id, provider, model FROM task_usage_hourly_dirty;
    INSERT INTO task_usage_hourly AS h
    SELECT t.bucket_hour, t.task_id, t.provider, t.model, sum(u.tokens), count(*)
    FROM touched AS t
    JOIN task_usage AS u
        ON u.task_id = t.task_id AND u.provider = t.provider AND u.model = t.model
        AND u.created_at >= t.bucket_hour AND u.created_at < t.bucket_hour + interval '1 hour'
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (bucket_hour, task_id, provider, model)
        DO UPDATE SET tokens = excluded.tokens, events = excluded.events;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    DELETE FROM task_usage_hourly AS h USING touched AS t
    WHERE (h.bucket_hour, h.task_id, h.provider, h.model) = (t.bucket_hour, t.task_id, t.provider, t.model)
        AND NOT EXISTS (
            SELECT FROM task_usage AS u
            WHERE u.task_id = t.task_id AND u.provider = t.provider AND u.model = t.model
                AND u.created_at >= t.bucket_hour AND u.created_at < t.bucket_hour + interval '1 hour'
        );
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    DELETE FROM task_usage_hourly_dirty AS q USING touched AS t
    WHERE (q.bucket_hour, q.task_id, q.provider, q.model) = (t.bucket_hour, t.task_id, t.provider, t.model);
    RETURN v_rows + v_gone;
END $$;

-- The tests' own: a slice that ends later than the gate waits there until somebody lets go of the advisory lock 77.
CREATE TABLE gate (at timestamptz NOT NULL);
CREATE FUNCTION gated_window(p_from timestamptz, p_to timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_rows bigint := rollup_task_usage_hourly_window(p_from, p_to);
BEGIN
    IF EXISTS (SELECT FROM gate WHERE p_to > at) THEN
        PERFORM pg_advisory_xact_lock_shared(77);
        -- The end of the server lets go of it too, and is to come first.
        PERFORM pg_sleep(0.5);
    END IF;
    RETURN v_rows;
END $$;
