INSERT INTO activity AS kept (minute, series, provider, label, count)
SELECT minute, series, provider, label, CASE WHEN series = ANY ($6) THEN max(count) ELSE sum(count)::bigint END
FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    AS added (minute, series, provider, label, count)
GROUP BY minute, series, provider, label
-- Rows are locked in one order, so that two processes never wait for each other in a circle.
ORDER BY minute, series, provider, label
ON CONFLICT (minute, series, provider, label) DO UPDATE SET count =
    CASE WHEN excluded.series = ANY ($6) THEN greatest(kept.count, excluded.count) ELSE kept.count + excluded.count END
