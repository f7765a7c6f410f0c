-- Two ranges of the index, for `<>` would look at every row that is under the key $1 already.
WITH others AS (
    (SELECT key, connection_id, access_token, refresh_token, unread_answer FROM tokens
     WHERE key < $1 AND (key, connection_id) > ($2, $3)
     ORDER BY key, connection_id LIMIT $4)
    UNION ALL
    (SELECT key, connection_id, access_token, refresh_token, unread_answer FROM tokens
     WHERE key > $1 AND (key, connection_id) > ($2, $3)
     ORDER BY key, connection_id LIMIT $4)
)
SELECT o.connection_id AS "connection_id!", s.version, o.key AS "key!", o.access_token, o.refresh_token, o.unread_answer
FROM others o JOIN schedules s USING (connection_id)
ORDER BY o.key, o.connection_id
LIMIT $4
