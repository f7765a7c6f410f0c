WITH t AS MATERIALIZED (SELECT coalesce($3::timestamptz, clock_timestamp()) AS now),
-- What another process is claiming just now is passed over, not waited for.
due AS MATERIALIZED (
    SELECT d.endpoint_id, d.message_id
    FROM webhook_deliveries d
    WHERE d.state = 'pending' AND d.due_at <= $1
      AND (d.claimed_until IS NULL OR d.claimed_until <= (SELECT now FROM t))
      AND d.endpoint_id <> ALL ($5::uuid[])
    ORDER BY d.due_at, d.message_id
    LIMIT $2
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE webhook_deliveries d SET
    claimed_until = (SELECT now FROM t) + $4::bigint * interval '1 millisecond', attempts = d.attempts + 1
FROM due, webhook_messages m, webhook_endpoints e
WHERE d.endpoint_id = due.endpoint_id AND d.message_id = due.message_id AND m.id = d.message_id AND e.id = d.endpoint_id
RETURNING d.endpoint_id, d.message_id, d.attempts, m.kind, m.at, m.payload, e.url, e.secret, e.former_secret, e.former_until
