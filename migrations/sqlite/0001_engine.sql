-- Times are milliseconds since 1970 in UTC, ids are the 16 bytes of a UUID.

-- A connection's identity. Cold: written by imports and consents.
CREATE TABLE connections (
    id                 blob    PRIMARY KEY CHECK (length(id) = 16),
    user_id            text    NOT NULL,
    provider           text    NOT NULL,
    account            text    NOT NULL DEFAULT '',
    label              text    NOT NULL DEFAULT '',
    scopes             text    NOT NULL DEFAULT '',
    consent_at         integer,
    refresh_expires_at integer,
    created_at         integer NOT NULL,
    UNIQUE (user_id, provider, account)
) STRICT;

-- The narrow, hot half: what schedulers read and leases write. Without a rowid its rows lie in the order of their ids.
CREATE TABLE schedules (
    connection_id blob    PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    provider      text    NOT NULL,
    state         text    NOT NULL CHECK (state IN ('active', 'failing', 'suspect', 'needs_reauth', 'disconnected')),
    reason        text    CHECK ((reason IS NULL) = (state = 'active')),
    version       integer NOT NULL CHECK (version >= 1),
    -- NULL exactly for states that are never refreshed: those cost the scheduler nothing.
    refresh_at    integer CHECK ((refresh_at IS NULL) = (state IN ('needs_reauth', 'disconnected'))),
    lease_owner   blob,
    lease_until   integer CHECK ((lease_until IS NULL) = (lease_owner IS NULL)),
    -- When somebody first found the lease lapsed. Its holder may still write; a taker waits out the grace from here.
    contested_at  integer,
    failures      integer NOT NULL DEFAULT 0,
    suspicions    integer NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The scheduler's look is answered from this index alone. It changes only when `refresh_at` does, so leases leave it alone.
CREATE INDEX schedules_due ON schedules (provider, refresh_at, connection_id, version) WHERE refresh_at IS NOT NULL;

-- The wide half: ciphertexts and what changes with them. No index but the key, so that a result touches one page.
CREATE TABLE tokens (
    connection_id blob    PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    access_token  text,
    refresh_token text,
    -- Fingerprint of the key of both ciphertexts.
    key           text,
    expires_at    integer,
    refreshed_at  integer,
    last_error    text,
    -- The encrypted body of a success that could not be used: it may hold a rotated secret.
    unread_answer text
) STRICT;

CREATE TABLE attempts (
    id            integer PRIMARY KEY,
    connection_id blob    NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    at            integer NOT NULL,
    verdict       text    NOT NULL,
    status        integer,
    code          text,
    message       text    NOT NULL,
    request_id    text,
    duration_ms   integer NOT NULL,
    -- The request left and no answer came back.
    ambiguous     integer NOT NULL CHECK (ambiguous IN (0, 1))
) STRICT;
CREATE INDEX attempts_by_connection ON attempts (connection_id, id);
CREATE INDEX attempts_by_time ON attempts (at);

CREATE TABLE failed_jobs (
    id            blob    PRIMARY KEY,
    kind          text    NOT NULL,
    connection_id blob,
    provider      text,
    payload       text    NOT NULL,
    attempts      text    NOT NULL CHECK (json_valid(attempts)),
    error         text    NOT NULL,
    traceparent   text,
    failed_at     integer NOT NULL,
    state         text    NOT NULL CHECK (state IN ('open', 'replayed', 'discarded'))
) STRICT;
CREATE INDEX failed_jobs_by_time ON failed_jobs (state, failed_at, id);

-- Provider apps that were ever held. An app without a row is open.
CREATE TABLE provider_apps (
    provider text    PRIMARY KEY,
    state    text    NOT NULL CHECK (state IN ('open', 'outage', 'fault')),
    since    integer NOT NULL,
    probe_at integer CHECK ((probe_at IS NULL) = (state = 'open')),
    code     text,
    message  text
) STRICT;

CREATE TABLE offices (
    office     text    PRIMARY KEY,
    process_id blob    NOT NULL,
    held_until integer NOT NULL
) STRICT;

CREATE TABLE peers (
    process_id  blob    PRIMARY KEY,
    role        text    NOT NULL,
    primary_key text    NOT NULL,
    -- A JSON array of fingerprints.
    keys        text    NOT NULL CHECK (json_valid(keys)),
    seen_at     integer NOT NULL
) STRICT;
