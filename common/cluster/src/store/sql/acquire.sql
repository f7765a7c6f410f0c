WITH asked AS (
    SELECT *, coalesce($7::timestamptz, clock_timestamp()) AS now
    FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::bigint[])
         WITH ORDINALITY AS r (connection_id, version, seen_refresh_at, owner, ttl_ms, grace_ms, place)
),
-- Locked in the order of their ids; what comes out of a lock is the newest row, whatever this statement's snapshot shows.
locked AS MATERIALIZED (
    SELECT a.connection_id, a.owner, a.now, a.place,
           a.version AS asked_version, a.seen_refresh_at,
           a.ttl_ms * interval '1 millisecond' AS ttl, a.grace_ms * interval '1 millisecond' AS grace,
           s.state, s.version, s.refresh_at, s.paused_at, s.lease_owner, s.lease_until, s.contested_at, s.failures, s.suspicions
    FROM asked a JOIN schedules s USING (connection_id)
    ORDER BY s.connection_id
    FOR NO KEY UPDATE OF s
),
decided AS MATERIALIZED (
    SELECT *, CASE
        WHEN refresh_at IS NULL THEN 'not_refreshable'
        WHEN version <> asked_version OR refresh_at <> seen_refresh_at THEN 'moved_on'
        WHEN paused_at IS NOT NULL THEN 'paused'
        WHEN lease_owner IS NULL THEN 'held'
        WHEN lease_until > now THEN 'busy'
        WHEN contested_at IS NULL THEN 'contested'
        WHEN contested_at + grace > now THEN 'busy'
        ELSE 'held'
    END AS outcome
    FROM locked
),
written AS (
    UPDATE schedules s SET
        lease_owner  = CASE WHEN d.outcome = 'held' THEN d.owner ELSE s.lease_owner END,
        lease_until  = CASE WHEN d.outcome = 'held' THEN d.now + d.ttl ELSE s.lease_until END,
        contested_at = CASE WHEN d.outcome = 'held' THEN NULL ELSE d.now END
    FROM decided d
    WHERE s.connection_id = d.connection_id AND d.outcome IN ('held', 'contested')
)
-- Tokens come from the snapshot, and are those of the locked version: whoever asks for a version has learned of it from a
-- commit, and this statement began after that.
SELECT coalesce(d.outcome, 'not_refreshable') AS "outcome!",
       d.state AS "state?", d.version AS "version?", d.failures AS "failures?", d.suspicions AS "suspicions?",
       -- Whoever held the lease and never reported.
       d.lease_owner AS "former_owner?",
       c.user_id AS "user_id?", c.provider AS "provider?", c.scopes AS "scopes?",
       t.refresh_token AS "refresh_token?", t.expires_at AS "expires_at?"
FROM asked a
LEFT JOIN decided d USING (place)
LEFT JOIN connections c ON c.id = d.connection_id AND d.outcome = 'held'
LEFT JOIN tokens t ON t.connection_id = c.id
ORDER BY a.place
