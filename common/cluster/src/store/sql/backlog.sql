SELECT count(*) AS "due!", min(refresh_at) AS oldest
FROM (
    SELECT refresh_at
    FROM schedules
    WHERE provider = $1
      AND refresh_at <= $2
      AND paused_at IS NULL
      AND paused_at IS NULL
    ORDER BY refresh_at, connection_id
    LIMIT $3
) AS oldest
