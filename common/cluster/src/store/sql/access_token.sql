SELECT s.version, t.expires_at, t.access_token AS "access_token!"
FROM schedules s JOIN tokens t USING (connection_id)
WHERE s.connection_id = $1 AND s.refresh_at IS NOT NULL AND t.access_token IS NOT NULL
