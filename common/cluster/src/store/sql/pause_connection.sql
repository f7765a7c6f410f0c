WITH paused AS (
    UPDATE schedules SET paused_at = $4 WHERE connection_id = $1 AND paused_at IS NULL RETURNING connection_id
),
ordered AS (
    INSERT INTO connection_pauses (connection_id, ordered_by, why, at)
    SELECT connection_id, $2, $3, $4 FROM paused
    RETURNING connection_id
)
INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
SELECT $5, $6, $7, $8, $9, $10, $11 FROM ordered
