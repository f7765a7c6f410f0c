-- As LIKE 'prefix%' has it, but a plan that is made once finds the index as well, and no character is a wildcard. In the
-- order of the index, so that a search for what many have ends when it has found enough of them.
(SELECT id FROM connections
 WHERE lower(user_id) ~>=~ lower($1) AND lower(user_id) ~<~ (lower($1) || chr(x'10ffff'::integer))
 ORDER BY lower(user_id) USING ~<~ LIMIT $3)
UNION ALL
(SELECT id FROM connections
 WHERE lower(account) ~>=~ lower($1) AND lower(account) ~<~ (lower($1) || chr(x'10ffff'::integer))
 ORDER BY lower(account) USING ~<~ LIMIT $3)
UNION ALL
(SELECT id FROM connections
 WHERE lower(label) ~>=~ lower($1) AND lower(label) ~<~ (lower($1) || chr(x'10ffff'::integer))
 ORDER BY lower(label) USING ~<~ LIMIT $3)
UNION ALL
SELECT id FROM connections WHERE id = $2
LIMIT $3
