SELECT id, at, actor, action, subject, reason, outcome
FROM audit_log
WHERE id < $1
ORDER BY id DESC
LIMIT $2
