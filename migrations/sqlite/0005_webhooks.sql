-- Receivers of webhooks.
CREATE TABLE webhook_endpoints (
    id              blob    PRIMARY KEY CHECK (length(id) = 16),
    url             text    NOT NULL,
    description     text    NOT NULL,
    -- What it is told, as a JSON array; empty means everything.
    events          text    NOT NULL CHECK (json_valid(events)),
    state           text    NOT NULL CHECK (state IN ('enabled', 'disabled')),
    disabled_reason text    CHECK ((disabled_reason IS NULL) = (state = 'enabled')),
    failing_since   integer,
    -- Ciphertexts, each under the key that its column names. They are bound to the endpoint's id.
    secret          text    NOT NULL,
    key             text    NOT NULL,
    former_secret   text,
    former_key      text    CHECK ((former_key IS NULL) = (former_secret IS NULL)),
    former_until    integer CHECK ((former_until IS NULL) = (former_secret IS NULL)),
    created_at      integer NOT NULL
) STRICT;

-- What receivers are told, written in the commit of the change that it tells of.
CREATE TABLE webhook_messages (
    id      blob    PRIMARY KEY CHECK (length(id) = 16),
    kind    text    NOT NULL,
    at      integer NOT NULL,
    -- The body, byte for byte as it is signed.
    payload text    NOT NULL
) STRICT;
CREATE INDEX webhook_messages_by_time ON webhook_messages (at);

-- One message for one endpoint.
CREATE TABLE webhook_deliveries (
    endpoint_id      blob    NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    message_id       blob    NOT NULL REFERENCES webhook_messages (id) ON DELETE CASCADE,
    kind             text    NOT NULL,
    at               integer NOT NULL,
    state            text    NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    due_at           integer CHECK ((due_at IS NULL) = (state <> 'pending')),
    -- Until when somebody is at it.
    claimed_until    integer,
    attempts         integer NOT NULL DEFAULT 0,
    last_at          integer,
    last_status      integer,
    last_message     text,
    last_duration_ms integer,
    PRIMARY KEY (endpoint_id, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at, message_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_message ON webhook_deliveries (message_id);

-- What receivers were told of a connection last and still holds. In no index: results leave those alone.
ALTER TABLE schedules ADD COLUMN told text CHECK (told IN ('failing', 'needs_reauth'));
UPDATE schedules SET told = state WHERE state IN ('failing', 'needs_reauth');

-- The fewest days before the end of its consent that receivers were told of.
ALTER TABLE connections ADD COLUMN expiry_told integer;
