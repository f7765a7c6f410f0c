WITH ordered AS (
    UPDATE peers SET drain_ordered_by = $2, drain_why = $3, drain_at = $4, drained_at = NULL
    WHERE process_id = $1 AND drain_at IS NULL
    RETURNING process_id
)
INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
SELECT $5, $6, $7, $8, $9, $10, $11 FROM ordered
