-- A connection's identity. Cold: written by imports and consents.
CREATE TABLE connections (
    id                 uuid        PRIMARY KEY,
    user_id            text        NOT NULL,
    provider           text        NOT NULL,
    account            text        NOT NULL DEFAULT '',
    label              text        NOT NULL DEFAULT '',
    scopes             text        NOT NULL DEFAULT '',
    consent_at         timestamptz,
    refresh_expires_at timestamptz,
    created_at         timestamptz NOT NULL,
    UNIQUE (user_id, provider, account)
);

-- The narrow, hot half: what schedulers read and leases write.
CREATE TABLE schedules (
    connection_id uuid        PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    provider      text        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('active', 'failing', 'suspect', 'needs_reauth', 'disconnected')),
    reason        text        CHECK ((reason IS NULL) = (state = 'active')),
    version       bigint      NOT NULL CHECK (version >= 1),
    -- NULL exactly for states that are never refreshed: those cost the scheduler nothing.
    refresh_at    timestamptz CHECK ((refresh_at IS NULL) = (state IN ('needs_reauth', 'disconnected'))),
    lease_owner   uuid,
    lease_until   timestamptz CHECK ((lease_until IS NULL) = (lease_owner IS NULL)),
    -- When somebody first found the lease lapsed. Its holder may still write; a taker waits out the grace from here.
    contested_at  timestamptz,
    failures      integer     NOT NULL DEFAULT 0,
    suspicions    integer     NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- The scheduler's look is answered from this index alone. It changes only when `refresh_at` does, so leases stay HOT.
CREATE INDEX schedules_due ON schedules (provider, refresh_at, connection_id) INCLUDE (version) WHERE refresh_at IS NOT NULL;

-- The wide half: ciphertexts and what changes with them. No index but the key, so that results are HOT updates.
CREATE TABLE tokens (
    connection_id uuid PRIMARY KEY REFERENCES connections (id) ON DELETE CASCADE,
    access_token  text,
    refresh_token text,
    -- Fingerprint of the key of all ciphertexts of the row: a write brings those that it leaves standing to the key that it
    -- writes with. Where a writer cannot open the refresh token, that token's key stands here: it cannot be had again.
    key           text,
    expires_at    timestamptz,
    refreshed_at  timestamptz,
    last_error    text,
    -- The encrypted body of a success that could not be used: it may hold a rotated secret.
    unread_answer text
) WITH (fillfactor = 80);

CREATE TABLE attempts (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id uuid        NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    at            timestamptz NOT NULL,
    verdict       text        NOT NULL,
    status        integer,
    code          text,
    message       text        NOT NULL,
    request_id    text,
    duration_ms   bigint      NOT NULL,
    -- The request left and no answer came back.
    ambiguous     boolean     NOT NULL
);
CREATE INDEX attempts_by_connection ON attempts (connection_id, id);
CREATE INDEX attempts_by_time ON attempts (at);

CREATE TABLE failed_jobs (
    id            uuid        PRIMARY KEY,
    kind          text        NOT NULL,
    connection_id uuid,
    provider      text,
    payload       text        NOT NULL,
    attempts      jsonb       NOT NULL,
    error         text        NOT NULL,
    traceparent   text,
    failed_at     timestamptz NOT NULL,
    state         text        NOT NULL CHECK (state IN ('open', 'replayed', 'discarded'))
);
CREATE INDEX failed_jobs_by_time ON failed_jobs (state, failed_at, id);

-- Provider apps that were ever held. An app without a row is open.
CREATE TABLE provider_apps (
    provider text        PRIMARY KEY,
    state    text        NOT NULL CHECK (state IN ('open', 'outage', 'fault')),
    since    timestamptz NOT NULL,
    probe_at timestamptz CHECK ((probe_at IS NULL) = (state = 'open')),
    code     text,
    message  text
);

CREATE TABLE offices (
    office     text        PRIMARY KEY,
    process_id uuid        NOT NULL,
    held_until timestamptz NOT NULL
);

CREATE TABLE peers (
    process_id  uuid        PRIMARY KEY,
    role        text        NOT NULL,
    primary_key text        NOT NULL,
    keys        text[]      NOT NULL,
    seen_at     timestamptz NOT NULL
);
