-- What was done for whom, day by day in UTC, by all processes together.
CREATE TABLE usage_days (
    day        date   NOT NULL,
    provider   text   NOT NULL,
    user_id    text   NOT NULL,
    refreshes  bigint NOT NULL,
    failures   bigint NOT NULL,
    forced     bigint NOT NULL,
    calls      bigint NOT NULL,
    -- Seconds that were left of tokens when their scheduled refresh began.
    left_count bigint NOT NULL,
    left_ended bigint NOT NULL,
    left_sum   bigint NOT NULL,
    left_least bigint NOT NULL,
    PRIMARY KEY (day, provider, user_id)
) WITH (fillfactor = 80);
CREATE INDEX usage_days_by_user ON usage_days (user_id, day);

-- When somebody used a connection last. Apart from everything else of it: those who use it and those who refresh it never
-- wait for each other.
CREATE TABLE connection_uses (
    connection_id uuid        PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    used_at       timestamptz NOT NULL
) WITH (fillfactor = 80);
