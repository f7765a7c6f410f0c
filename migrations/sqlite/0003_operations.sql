-- What the filters of failed jobs ask for, out of the last attempt.
ALTER TABLE failed_jobs ADD COLUMN last_verdict text;
ALTER TABLE failed_jobs ADD COLUMN last_code text;
UPDATE failed_jobs SET last_verdict = attempts ->> '$[#-1].verdict', last_code = attempts ->> '$[#-1].code';
CREATE INDEX failed_jobs_newest ON failed_jobs (failed_at DESC, id DESC);
CREATE INDEX failed_jobs_by_connection ON failed_jobs (connection_id) WHERE connection_id IS NOT NULL;

-- Those that somebody may look for. Refreshes that succeed touch neither.
CREATE INDEX schedules_not_active ON schedules (state, connection_id) WHERE state <> 'active';
CREATE INDEX connections_by_user_prefix ON connections (user_id COLLATE NOCASE, id);
CREATE INDEX connections_by_account_prefix ON connections (account COLLATE NOCASE, id);
CREATE INDEX connections_by_label_prefix ON connections (label COLLATE NOCASE, id);

-- Who did what. Its ids sort by time.
CREATE TABLE audit_log (
    id      blob    PRIMARY KEY CHECK (length(id) = 16),
    at      integer NOT NULL,
    actor   text    NOT NULL,
    action  text    NOT NULL,
    subject text    NOT NULL,
    reason  text    NOT NULL,
    outcome text    NOT NULL
) STRICT;
CREATE INDEX audit_log_by_subject ON audit_log (subject, id);

-- What happened, minute by minute, by all processes together.
CREATE TABLE activity (
    minute   integer NOT NULL,
    series   text    NOT NULL,
    -- '' where the series is not by provider app.
    provider text    NOT NULL,
    label    text    NOT NULL,
    count    integer NOT NULL CHECK (count >= 0),
    PRIMARY KEY (minute, series, provider, label)
) STRICT, WITHOUT ROWID;
