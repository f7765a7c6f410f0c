SELECT id, at, actor, action, subject, reason, outcome
FROM audit_log
WHERE subject = $1 AND id < $2
ORDER BY id DESC
LIMIT $3
