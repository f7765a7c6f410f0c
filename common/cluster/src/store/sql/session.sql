SELECT id, user_id, generation, rotated_at, created_at, idle_until, ends_at, ended_at, end_reason
FROM sessions
WHERE id = $1
