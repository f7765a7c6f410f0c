-- People who may sign in. Their connections carry the same id.
CREATE TABLE users (
    id              text    PRIMARY KEY,
    email           text    NOT NULL DEFAULT '',
    -- The address in lower case, as the adapter folds it: what a database folds depends on the database. NULL: there is none.
    email_key       text    UNIQUE,
    name            text    NOT NULL DEFAULT '',
    -- The account at the sign-in provider.
    account         text    NOT NULL DEFAULT '',
    is_admin        integer NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1)),
    is_active       integer NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    -- JSON arrays of texts.
    profile_ids     text    NOT NULL DEFAULT '[]' CHECK (json_valid(profile_ids)),
    marketplace_ids text    NOT NULL DEFAULT '[]' CHECK (json_valid(marketplace_ids)),
    -- argon2, in the PHC format.
    password        text,
    created_at      integer NOT NULL
) STRICT;
CREATE UNIQUE INDEX users_by_account ON users (account) WHERE account <> '';

-- Signed-in browsers. Their tokens are computed, not stored: the row says only which generation is good.
CREATE TABLE sessions (
    id         blob    PRIMARY KEY CHECK (length(id) = 16),
    user_id    text    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    generation integer NOT NULL CHECK (generation >= 1),
    rotated_at integer NOT NULL,
    created_at integer NOT NULL,
    idle_until integer NOT NULL,
    ends_at    integer NOT NULL,
    ended_at   integer,
    end_reason text    CHECK ((end_reason IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id) WHERE ended_at IS NULL;

-- Consents under way.
CREATE TABLE flows (
    -- SHA-256 of the state.
    state        blob    PRIMARY KEY CHECK (length(state) = 32),
    purpose      text    NOT NULL CHECK (json_valid(purpose)),
    provider     text    NOT NULL,
    redirect_uri text    NOT NULL,
    return_to    text    NOT NULL,
    expires_at   integer NOT NULL
) STRICT;
CREATE INDEX flows_by_end ON flows (expires_at);

CREATE TABLE api_keys (
    id         blob    PRIMARY KEY CHECK (length(id) = 16),
    name       text    NOT NULL,
    -- SHA-256 of the key.
    digest     blob    NOT NULL CHECK (length(digest) = 32),
    -- A JSON array of texts.
    scopes     text    NOT NULL CHECK (json_valid(scopes)),
    -- NULL: everybody's connections.
    user_id    text,
    created_at integer NOT NULL,
    expires_at integer,
    used_at    integer,
    revoked_at integer
) STRICT;
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_at IS NULL;
