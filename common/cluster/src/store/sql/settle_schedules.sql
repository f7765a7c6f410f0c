WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::boolean[], $5::boolean[],
                         $6::text[], $7::text[], $8::timestamptz[], $9::integer[], $10::integer[])
        AS w (connection_id, version, owner, has_tokens, changes, state, reason, refresh_at, failures, suspicions)
),
-- Locked in the order of their ids, and judged by the newest row: a version or a holder that has moved is left out.
locked AS MATERIALIZED (
    SELECT w.* FROM given w JOIN schedules s USING (connection_id)
    WHERE s.version = w.version
      -- A rotated token is real whoever holds the lease by now.
      AND CASE WHEN w.has_tokens THEN s.state <> 'disconnected' ELSE s.lease_owner = w.owner END
    ORDER BY s.connection_id
    FOR NO KEY UPDATE OF s
)
UPDATE schedules s SET
    version      = s.version + l.has_tokens::integer,
    state        = CASE WHEN l.changes THEN l.state ELSE s.state END,
    reason       = CASE WHEN l.changes THEN l.reason ELSE s.reason END,
    refresh_at   = CASE WHEN l.changes THEN l.refresh_at ELSE s.refresh_at END,
    failures     = CASE WHEN l.changes THEN l.failures ELSE s.failures END,
    suspicions   = CASE WHEN l.changes THEN l.suspicions ELSE s.suspicions END,
    lease_owner  = NULL,
    lease_until  = NULL,
    contested_at = NULL
FROM locked l
WHERE s.connection_id = l.connection_id
-- `told`: receivers of webhooks were told of trouble that still holds.
RETURNING s.connection_id, s.version, s.told IS NOT NULL AS "told!"
