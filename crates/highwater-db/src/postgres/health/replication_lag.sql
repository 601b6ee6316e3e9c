-- In seconds: of the slowest standby, or, asked of a standby, its own. NULL where nothing can be said: no standby is connected,
-- or the role may not see them.
SELECT CASE
    WHEN pg_is_in_recovery() THEN
        CASE
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            -- It has replayed nothing yet that has a time.
            WHEN pg_last_xact_replay_timestamp() IS NULL THEN NULL
            ELSE greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)
        END
    ELSE (
        SELECT CASE
            WHEN bool_or(standby.state IS NULL) THEN NULL
            ELSE max(greatest(
                extract(epoch FROM standby.replay_lag),
                -- One that hangs says nothing more, and its last word stays what it was: once it has been silent for longer than
                -- it may be between two words, it is behind by at least as long.
                CASE
                    WHEN standby.replay_lsn < pg_current_wal_lsn() AND clock_timestamp() - standby.reply_time > interval '30 s'
                    THEN extract(epoch FROM clock_timestamp() - standby.reply_time)
                END,
                0
            ))
        END
        FROM pg_stat_replication AS standby
        -- A base backup follows nothing.
        WHERE standby.state IS DISTINCT FROM 'backup'
    )
END::float8
