WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
                         $7::text[], $8::text[], $9::text[])
        AS w (connection_id, version, key, access_token, refresh_token, unread_answer,
              new_access_token, new_refresh_token, new_unread_answer)
),
-- In the order of all others, and waiting for none: a row that somebody has in hand is about to move on.
locked AS MATERIALIZED (
    SELECT w.* FROM given w JOIN schedules s USING (connection_id)
    WHERE s.version = w.version
    ORDER BY s.connection_id
    FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE tokens t SET
    access_token  = coalesce(l.new_access_token, t.access_token),
    refresh_token = coalesce(l.new_refresh_token, t.refresh_token),
    unread_answer = coalesce(l.new_unread_answer, t.unread_answer),
    key           = $10
FROM locked l
WHERE t.connection_id = l.connection_id
  -- The newest row is what counts, whatever this statement's snapshot shows: one ciphertext that differs, and it stays.
  AND t.key = l.key
  AND t.access_token IS NOT DISTINCT FROM l.access_token
  AND t.refresh_token IS NOT DISTINCT FROM l.refresh_token
  AND t.unread_answer IS NOT DISTINCT FROM l.unread_answer
