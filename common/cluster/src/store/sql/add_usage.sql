INSERT INTO usage_days AS kept (day, provider, user_id, refreshes, failures, forced, calls,
                                left_count, left_ended, left_sum, left_least)
SELECT *
FROM unnest($1::date[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
    AS added (day, provider, user_id, refreshes, failures, forced, calls, left_count, left_ended, left_sum, left_least)
-- Rows are locked in one order, so that two processes never wait for each other in a circle.
ORDER BY day, provider, user_id
ON CONFLICT (day, provider, user_id) DO UPDATE SET
    refreshes  = kept.refreshes + excluded.refreshes,
    failures   = kept.failures + excluded.failures,
    forced     = kept.forced + excluded.forced,
    calls      = kept.calls + excluded.calls,
    left_least = CASE
        WHEN kept.left_count = 0 THEN excluded.left_least
        WHEN excluded.left_count = 0 THEN kept.left_least
        ELSE least(kept.left_least, excluded.left_least)
    END,
    left_count = kept.left_count + excluded.left_count,
    left_ended = kept.left_ended + excluded.left_ended,
    left_sum   = kept.left_sum + excluded.left_sum
