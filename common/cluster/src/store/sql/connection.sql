SELECT c.id, c.user_id, c.provider, c.account, c.label, c.scopes, s.state, s.reason, s.version, s.refresh_at,
       t.expires_at, t.refreshed_at, c.consent_at, c.refresh_expires_at, s.failures, t.last_error, t.key,
       s.lease_until, c.created_at,
       p.ordered_by AS "paused_by?", p.why AS "paused_why?", p.at AS "paused_at?"
FROM connections c JOIN schedules s ON s.connection_id = c.id JOIN tokens t ON t.connection_id = c.id
LEFT JOIN connection_pauses p ON p.connection_id = c.id
WHERE c.id = $1
