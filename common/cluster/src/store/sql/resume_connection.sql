WITH resumed AS (
    UPDATE schedules SET paused_at = NULL WHERE connection_id = $1 AND paused_at IS NOT NULL RETURNING connection_id
),
ended AS (
    DELETE FROM connection_pauses p USING resumed r WHERE p.connection_id = r.connection_id
    RETURNING p.ordered_by, p.why, p.at
),
told AS (
    INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
    SELECT $2, $3, $4, $5, $6, $7, $8 FROM ended
)
SELECT ordered_by, why, at FROM ended
