WITH due AS MATERIALIZED (
    SELECT c.id, e.ends_at, b.days, s.version, s.state, s.reason
    FROM connections c
    JOIN schedules s ON s.connection_id = c.id
    LEFT JOIN unnest($1::text[], $2::bigint[]) AS l (provider, ms) ON l.provider = c.provider
    CROSS JOIN LATERAL (
        SELECT coalesce(c.refresh_expires_at, c.consent_at + l.ms * interval '1 millisecond') AS ends_at
    ) e
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN e.ends_at <= $3::timestamptz THEN NULL
            WHEN e.ends_at <= $3::timestamptz + interval '24 hours' THEN 1
            WHEN e.ends_at <= $3::timestamptz + interval '168 hours' THEN 7
            WHEN e.ends_at <= $3::timestamptz + interval '336 hours' THEN 14
            WHEN e.ends_at <= $3::timestamptz + interval '720 hours' THEN 30
        END AS days
    ) b
    WHERE s.refresh_at IS NOT NULL AND b.days < coalesce(c.expiry_told, 31)
    ORDER BY c.id
    LIMIT $4
    -- Judged by the newest row: another process may have told just now.
    FOR NO KEY UPDATE OF c
)
UPDATE connections c SET expiry_told = d.days
FROM due d
WHERE c.id = d.id
RETURNING c.id, c.user_id, c.provider, c.account, d.version, d.state, d.reason, d.ends_at AS "ends_at!"
