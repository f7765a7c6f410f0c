-- What the filters of failed jobs ask for, out of the last attempt. The database fills them in, for writers of the release
-- before too.
ALTER TABLE failed_jobs
    ADD COLUMN last_verdict text GENERATED ALWAYS AS (attempts -> -1 ->> 'verdict') STORED,
    ADD COLUMN last_code    text GENERATED ALWAYS AS (attempts -> -1 ->> 'code') STORED;
CREATE INDEX failed_jobs_by_connection ON failed_jobs (connection_id) WHERE connection_id IS NOT NULL;

-- Those that somebody may look for. Refreshes that succeed touch neither.
CREATE INDEX schedules_not_active ON schedules (state, connection_id) WHERE state <> 'active';
CREATE INDEX connections_by_user_prefix ON connections (lower(user_id) text_pattern_ops);
CREATE INDEX connections_by_account_prefix ON connections (lower(account) text_pattern_ops);
CREATE INDEX connections_by_label_prefix ON connections (lower(label) text_pattern_ops);

-- Who did what. Its ids sort by time.
CREATE TABLE audit_log (
    id      uuid        PRIMARY KEY,
    at      timestamptz NOT NULL,
    actor   text        NOT NULL,
    action  text        NOT NULL,
    subject text        NOT NULL,
    reason  text        NOT NULL,
    outcome text        NOT NULL
);
CREATE INDEX audit_log_by_subject ON audit_log (subject, id);

-- What happened, minute by minute, by all processes together.
CREATE TABLE activity (
    minute   timestamptz NOT NULL,
    series   text        NOT NULL,
    -- '' where the series is not by provider app.
    provider text        NOT NULL,
    label    text        NOT NULL,
    count    bigint      NOT NULL CHECK (count >= 0),
    PRIMARY KEY (minute, series, provider, label)
) WITH (fillfactor = 80);
