INSERT INTO attempts (connection_id, at, verdict, status, code, message, request_id, duration_ms, ambiguous)
SELECT connection_id, at, verdict, status, code, message, request_id, duration_ms, ambiguous
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::bigint[],
            $9::boolean[])
    WITH ORDINALITY AS a (connection_id, at, verdict, status, code, message, request_id, duration_ms, ambiguous, place)
-- Their ids, which tell their order, are given in the order of these rows.
ORDER BY place
