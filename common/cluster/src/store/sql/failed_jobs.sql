SELECT page.*
FROM unnest($4::text[]) AS wanted (state)
-- A page of each state, newest first from the index on, and a page of those.
CROSS JOIN LATERAL (
    SELECT j.id, j.kind, j.connection_id, j.provider, j.payload, j.attempts, j.error, j.traceparent, j.failed_at, j.state
    FROM failed_jobs j
    WHERE j.state = wanted.state
      AND ($1::timestamptz IS NULL OR (j.failed_at, j.id) < ($1, $2))
      AND ($5::text IS NULL OR j.kind = $5)
      AND ($6::text IS NULL OR j.provider = $6)
      AND ($7::text IS NULL OR j.last_verdict = $7)
      AND ($8::text IS NULL OR j.last_code = $8)
      AND ($9::text IS NULL OR j.connection_id = ANY (ARRAY(SELECT id FROM connections WHERE user_id = $9)))
      AND ($10::uuid IS NULL OR j.connection_id = $10)
      AND ($11::timestamptz IS NULL OR j.failed_at >= $11)
      AND ($12::timestamptz IS NULL OR j.failed_at < $12)
      AND ($13::text IS NULL OR strpos(lower(j.error COLLATE "C"), lower($13 COLLATE "C")) > 0)
    ORDER BY j.failed_at DESC, j.id DESC
    LIMIT $3
) AS page
ORDER BY page.failed_at DESC, page.id DESC
LIMIT $3
