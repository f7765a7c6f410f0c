SELECT page.*
FROM unnest($3::text[]) AS wanted (state)
-- A page of each state, in the order of the ids from the index on, and a page of those.
CROSS JOIN LATERAL (
    SELECT c.id, c.user_id, c.provider, c.account, c.label, c.scopes, s.state, s.reason, s.version, s.refresh_at,
           t.expires_at, t.refreshed_at, c.consent_at, c.refresh_expires_at, s.failures, t.last_error, t.key,
           s.lease_until, c.created_at,
           p.ordered_by AS "paused_by?", p.why AS "paused_why?", p.at AS "paused_at?"
    FROM schedules s JOIN connections c ON c.id = s.connection_id JOIN tokens t ON t.connection_id = s.connection_id
    LEFT JOIN connection_pauses p ON p.connection_id = s.connection_id
    WHERE s.state = wanted.state
      -- What the index leaves out.
      AND s.state <> 'active'
      AND s.connection_id > $1 AND c.id > $1 AND t.connection_id > $1
      AND ($4::text IS NULL OR c.provider = $4)
      AND ($5::timestamptz IS NULL OR t.expires_at < $5)
      AND ($6::text IS NULL OR s.reason = $6)
      AND ($7::text IS NULL OR c.id = $8
           OR lower(c.user_id) ^@ lower($7) OR lower(c.account) ^@ lower($7) OR lower(c.label) ^@ lower($7))
    ORDER BY s.connection_id
    LIMIT $2
) AS page
ORDER BY page.id
LIMIT $2
