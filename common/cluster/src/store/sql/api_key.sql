SELECT id, name, digest, scopes, user_id, created_at, expires_at, used_at, revoked_at
FROM api_keys
WHERE id = $1
