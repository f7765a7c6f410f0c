SELECT c.id, c.user_id, c.provider, c.account, c.label, c.scopes, s.state, s.reason, s.version, s.refresh_at,
       t.expires_at, t.refreshed_at, c.consent_at, c.refresh_expires_at, s.failures, t.last_error, t.key,
       s.lease_until, c.created_at,
       p.ordered_by AS "paused_by?", p.why AS "paused_why?", p.at AS "paused_at?"
FROM connections c JOIN schedules s ON s.connection_id = c.id JOIN tokens t ON t.connection_id = c.id
LEFT JOIN connection_pauses p ON p.connection_id = c.id
WHERE c.id > $1 AND s.connection_id > $1 AND t.connection_id > $1
  AND (cardinality($3::text[]) = 0 OR s.state = ANY ($3))
  AND ($4::text IS NULL OR c.provider = $4)
  AND ($5::text IS NULL OR c.user_id = $5)
  AND ($6::timestamptz IS NULL OR t.expires_at < $6)
  AND ($7::text IS NULL OR s.reason = $7)
  AND ($8::text IS NULL OR c.id = $9
       OR lower(c.user_id) ^@ lower($8) OR lower(c.account) ^@ lower($8) OR lower(c.label) ^@ lower($8))
  -- Where it is known that no others come into question.
  AND ($10::uuid[] IS NULL OR c.id = ANY ($10))
ORDER BY c.id
LIMIT $2
