WITH standing AS (
    SELECT process_id, drain_ordered_by, drain_why, drain_at, drained_at FROM peers
    WHERE process_id = $1 AND drain_at IS NOT NULL
    FOR UPDATE
),
ended AS (
    UPDATE peers p SET drain_ordered_by = NULL, drain_why = NULL, drain_at = NULL, drained_at = NULL
    FROM standing s
    WHERE p.process_id = s.process_id
    RETURNING s.drain_ordered_by, s.drain_why, s.drain_at, s.drained_at
),
told AS (
    INSERT INTO audit_log (id, at, actor, action, subject, reason, outcome)
    SELECT $2, $3, $4, $5, $6, $7, $8 FROM ended
)
SELECT drain_ordered_by, drain_why, drain_at, drained_at FROM ended
