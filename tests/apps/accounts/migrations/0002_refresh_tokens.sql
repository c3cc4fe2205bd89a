CREATE TABLE refresh_tokens (
  digest TEXT PRIMARY KEY, -- SHA-256 of the token in hexadecimal; the token itself is nowhere
  family TEXT NOT NULL,    -- all that came from one login
  subject TEXT NOT NULL,
  scope TEXT NOT NULL,     -- what the login asked for, or nothing
  expires INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_subject ON refresh_tokens (subject);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);
