SELECT id, email, name, account, is_admin, is_active, profile_ids, marketplace_ids, created_at
FROM users
WHERE account = $1
  -- What the index is of: whoever has no account is not in it.
  AND account <> ''
