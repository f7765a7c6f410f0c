WITH paused AS (
    INSERT INTO pauses (kind, name, ordered_by, why, at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
    RETURNING name
)
INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
SELECT $6, $7, $8, $9, $10, $11, $12 FROM paused
