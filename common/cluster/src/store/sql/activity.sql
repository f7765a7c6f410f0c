SELECT minute, series, provider, label, count
FROM activity
WHERE minute >= $1 AND minute < $2
ORDER BY minute, series, provider, label
