SELECT count(*) AS "count!"
FROM (
    SELECT
    FROM failed_jobs j
    WHERE j.state = ANY ($2)
      AND ($3::text IS NULL OR j.kind = $3)
      AND ($4::text IS NULL OR j.provider = $4)
      AND ($5::text IS NULL OR j.last_verdict = $5)
      AND ($6::text IS NULL OR j.last_code = $6)
      AND ($7::text IS NULL OR j.connection_id = ANY (ARRAY(SELECT id FROM connections WHERE user_id = $7)))
      AND ($8::uuid IS NULL OR j.connection_id = $8)
      AND ($9::timestamptz IS NULL OR j.failed_at >= $9)
      AND ($10::timestamptz IS NULL OR j.failed_at < $10)
      AND ($11::text IS NULL OR strpos(lower(j.error COLLATE "C"), lower($11 COLLATE "C")) > 0)
    LIMIT $1
) AS enough
