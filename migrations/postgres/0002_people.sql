-- People who may sign in. Their connections carry the same id.
CREATE TABLE users (
    id              text        PRIMARY KEY,
    email           text        NOT NULL DEFAULT '',
    -- The address in lower case, as the adapter folds it: what a database folds depends on its locale. NULL: there is none.
    email_key       text        UNIQUE,
    name            text        NOT NULL DEFAULT '',
    -- The account at the sign-in provider.
    account         text        NOT NULL DEFAULT '',
    is_admin        boolean     NOT NULL DEFAULT false,
    is_active       boolean     NOT NULL DEFAULT true,
    profile_ids     text[]      NOT NULL DEFAULT '{}',
    marketplace_ids text[]      NOT NULL DEFAULT '{}',
    -- argon2, in the PHC format.
    password        text,
    created_at      timestamptz NOT NULL
);
CREATE UNIQUE INDEX users_by_account ON users (account) WHERE account <> '';
-- Pages go by the bytes of the ids, in whatever order the database's locale would have them.
CREATE INDEX users_in_order ON users (id COLLATE "C");

-- Signed-in browsers. Their tokens are computed, not stored: the row says only which generation is good.
CREATE TABLE sessions (
    id         uuid        PRIMARY KEY,
    user_id    text        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation bigint      NOT NULL CHECK (generation >= 1),
    rotated_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    idle_until timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    ended_at   timestamptz,
    end_reason text        CHECK ((end_reason IS NULL) = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX sessions_by_user ON sessions (user_id) WHERE ended_at IS NULL;

-- Consents under way.
CREATE TABLE flows (
    -- SHA-256 of the state.
    state        bytea       PRIMARY KEY CHECK (length(state) = 32),
    purpose      jsonb       NOT NULL,
    provider     text        NOT NULL,
    redirect_uri text        NOT NULL,
    return_to    text        NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX flows_by_end ON flows (expires_at);

CREATE TABLE api_keys (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL,
    -- SHA-256 of the key.
    digest     bytea       NOT NULL CHECK (length(digest) = 32),
    scopes     text[]      NOT NULL,
    -- NULL: everybody's connections.
    user_id    text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    used_at    timestamptz,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_at IS NULL;
