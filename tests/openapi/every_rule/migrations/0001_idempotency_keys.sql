CREATE TABLE idempotency_keys (
  digest TEXT PRIMARY KEY,   -- SHA-256 of who sent the key, to which route, and the key; the key itself is nowhere
  fingerprint TEXT NOT NULL, -- SHA-256 of the request: with another one the key is refused
  attempt BLOB NOT NULL,     -- which run of the handler it was: random bytes
  ends INTEGER NOT NULL,     -- by when that run has surely ended
  expires INTEGER NOT NULL,
  status INTEGER,            -- of the answer; NULL until there is one
  fields BLOB,               -- its header fields
  body BLOB
);
CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires);
