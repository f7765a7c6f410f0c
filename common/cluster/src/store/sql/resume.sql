WITH ended AS (
    DELETE FROM pauses WHERE kind = $1 AND name = $2 RETURNING ordered_by, why, at
),
told AS (
    INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
    SELECT $3, $4, $5, $6, $7, $8, $9 FROM ended
)
SELECT ordered_by, why, at FROM ended
