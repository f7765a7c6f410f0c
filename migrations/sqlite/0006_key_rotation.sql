-- Which rows are under which key: what is left to encrypt again costs what is left, and not a look at every row.
CREATE INDEX tokens_by_key ON tokens (key, connection_id) WHERE key IS NOT NULL;
