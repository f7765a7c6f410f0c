-- What operators hold back by hand: few rows, which every process looks at again and again.
CREATE TABLE pauses (
    kind       text    NOT NULL CHECK (kind IN ('queue', 'app')),
    -- The kind of job, or the provider app.
    name       text    NOT NULL,
    ordered_by text    NOT NULL,
    why        text    NOT NULL,
    at         integer NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Who paused a connection, and why. That it is paused stands in its schedule.
CREATE TABLE connection_pauses (
    connection_id blob    PRIMARY KEY REFERENCES schedules (connection_id) ON DELETE CASCADE,
    ordered_by    text    NOT NULL,
    why           text    NOT NULL,
    at            integer NOT NULL
) STRICT;

-- Beside the state, not one of its values: a pause says nothing about the grant.
ALTER TABLE schedules ADD COLUMN paused_at integer;

-- A paused connection costs the scheduler nothing. `paused_at` is never anything but NULL in it: it stands there because
-- SQLite would fetch the row to see that.
DROP INDEX schedules_due;
CREATE INDEX schedules_due ON schedules (provider, refresh_at, connection_id, version, paused_at)
    WHERE refresh_at IS NOT NULL AND paused_at IS NULL;

-- An order to take no new jobs. It goes with the row when the process ends.
ALTER TABLE peers ADD COLUMN drain_ordered_by text;
ALTER TABLE peers ADD COLUMN drain_why text CHECK ((drain_why IS NULL) = (drain_ordered_by IS NULL));
ALTER TABLE peers ADD COLUMN drain_at integer CHECK ((drain_at IS NULL) = (drain_ordered_by IS NULL));
ALTER TABLE peers ADD COLUMN drained_at integer CHECK (drained_at IS NULL OR drain_at IS NOT NULL);
