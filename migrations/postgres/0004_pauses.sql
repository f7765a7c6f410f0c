-- What operators hold back by hand: few rows, which every process looks at again and again.
CREATE TABLE pauses (
    kind       text        NOT NULL CHECK (kind IN ('queue', 'app')),
    -- The kind of job, or the provider app.
    name       text        NOT NULL,
    ordered_by text        NOT NULL,
    why        text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Who paused a connection, and why. That it is paused stands in its schedule.
CREATE TABLE connection_pauses (
    connection_id uuid        PRIMARY KEY REFERENCES schedules (connection_id) ON DELETE CASCADE,
    ordered_by    text        NOT NULL,
    why           text        NOT NULL,
    at            timestamptz NOT NULL
);

-- Beside the state, not one of its values: a pause says nothing about the grant.
ALTER TABLE schedules ADD COLUMN paused_at timestamptz;

-- A paused connection costs the scheduler nothing. Leases and results do not touch `paused_at`, so they stay HOT.
DROP INDEX schedules_due;
CREATE INDEX schedules_due ON schedules (provider, refresh_at, connection_id) INCLUDE (version)
    WHERE refresh_at IS NOT NULL AND paused_at IS NULL;

-- An order to take no new jobs. It goes with the row when the process ends.
ALTER TABLE peers
    ADD COLUMN drain_ordered_by text,
    ADD COLUMN drain_why        text,
    ADD COLUMN drain_at         timestamptz,
    ADD COLUMN drained_at       timestamptz,
    ADD CONSTRAINT peers_drain_check CHECK (
        (drain_at IS NULL) = (drain_ordered_by IS NULL) AND (drain_at IS NULL) = (drain_why IS NULL)
        AND (drained_at IS NULL OR drain_at IS NOT NULL)
    );
