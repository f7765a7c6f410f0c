SELECT id, email, name, account, is_admin, is_active, profile_ids, marketplace_ids, created_at
FROM users
WHERE email_key = $1
