SELECT connection_id, version, refresh_at AS "refresh_at!"
FROM schedules
WHERE provider = $1
  AND refresh_at <= $2
  AND paused_at IS NULL
  -- Before the first page stands what no row can be before.
  AND (refresh_at, connection_id) > (
      coalesce($3::timestamptz, '-infinity'),
      coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
  )
ORDER BY refresh_at, connection_id
LIMIT $5
