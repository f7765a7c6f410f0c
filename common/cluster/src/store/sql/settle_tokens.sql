UPDATE tokens t SET
    access_token  = coalesce(w.access_token, t.access_token),
    -- A new one, or the stored one under the key that encrypts now; else it stays: dropping it would cost the grant.
    refresh_token = coalesce(w.refresh_token, t.refresh_token),
    key           = coalesce(w.key, t.key),
    expires_at    = coalesce(w.expires_at, t.expires_at),
    refreshed_at  = coalesce(w.refreshed_at, t.refreshed_at),
    last_error    = CASE WHEN w.changes THEN w.last_error ELSE t.last_error END,
    -- What an unread answer may have hidden is worth nothing once newer tokens are here.
    unread_answer = CASE WHEN w.has_tokens THEN w.unread_answer ELSE coalesce(w.unread_answer, t.unread_answer) END
FROM unnest($1::uuid[], $2::boolean[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
            $8::timestamptz[], $9::text[], $10::text[])
    AS w (connection_id, has_tokens, changes, access_token, refresh_token, key, expires_at, refreshed_at, last_error,
          unread_answer)
WHERE t.connection_id = w.connection_id
