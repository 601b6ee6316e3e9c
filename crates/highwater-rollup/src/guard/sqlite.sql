-- Fails where the rollup {comment} is not complete; `highwater rollup guard` tells the figures. Its tables must be there.
DROP TABLE IF EXISTS temp.highwater_guard;
CREATE TEMP TABLE highwater_guard (wrong TEXT);
-- SQLite raises in triggers only, and until 3.47 nothing but a text that stands there.
CREATE TEMP TRIGGER highwater_guard_unknown BEFORE INSERT ON highwater_guard WHEN NEW.wrong = 'unknown' BEGIN
    SELECT RAISE(ABORT, {unknown});
END;
CREATE TEMP TRIGGER highwater_guard_ahead BEFORE INSERT ON highwater_guard WHEN NEW.wrong = 'ahead' BEGIN
    SELECT RAISE(ABORT, {ahead});
END;
CREATE TEMP TRIGGER highwater_guard_behind BEFORE INSERT ON highwater_guard WHEN NEW.wrong = 'behind' BEGIN
    SELECT RAISE(ABORT, {behind});
END;
CREATE TEMP TRIGGER highwater_guard_partial BEFORE INSERT ON highwater_guard WHEN NEW.wrong = 'partial' BEGIN
    SELECT RAISE(ABORT, {partial});
END;
INSERT INTO highwater_guard
SELECT CASE
    WHEN newest IS NULL AND (clock - queued > {threshold}) IS NOT TRUE THEN NULL
    WHEN watermark IS NULL THEN 'unknown'
    WHEN first < begun THEN 'partial'
    WHEN watermark - clock > {threshold} THEN 'ahead'
    WHEN min(newest, clock) - watermark > {threshold} OR clock - queued > {threshold} THEN 'behind'
END
FROM (
    SELECT ({mark}) AS watermark,
           ({newest}) AS newest,
           ({begun}) AS begun,
           ({first}) AS first,
           ({queued}) AS queued,
           unixepoch('subsec') AS clock
);
DROP TABLE temp.highwater_guard;
