-- What was done for whom, day by day in UTC, by all processes together.
CREATE TABLE usage_days (
    day        text    NOT NULL,
    provider   text    NOT NULL,
    user_id    text    NOT NULL,
    refreshes  integer NOT NULL,
    failures   integer NOT NULL,
    forced     integer NOT NULL,
    calls      integer NOT NULL,
    -- Seconds that were left of tokens when their scheduled refresh began.
    left_count integer NOT NULL,
    left_ended integer NOT NULL,
    left_sum   integer NOT NULL,
    left_least integer NOT NULL,
    PRIMARY KEY (day, provider, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_days_by_user ON usage_days (user_id, day);

-- When somebody used a connection last. Apart from everything else of it: those who use it and those who refresh it never
-- wait for each other.
CREATE TABLE connection_uses (
    connection_id blob    PRIMARY KEY CHECK (length(connection_id) = 16) REFERENCES connections (id) ON DELETE CASCADE,
    used_at       integer NOT NULL
) STRICT, WITHOUT ROWID;
