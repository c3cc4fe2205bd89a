-- SPDX-License-Identifier: MIT
-- The database and what specs ask of it.

local store = { revoked = {}, rotated = {}, fails = false, scopes = { "read", "write" } }

function store.open(app)
  local db = app:database("sqlite::memory:")
  store.db = db
  store.add = db:statement [[INSERT INTO users (email, role, password) VALUES (:email, :role, :password)]]
  store.find = db:statement [[SELECT id, role, password FROM users WHERE email = :email]]
  store.find_by_id = db:statement [[SELECT id, role, password FROM users WHERE id = :id]]
  store.rehash = db:statement [[UPDATE users SET password = :password WHERE id = :id AND password = :old]]
  store.change = db:statement [[UPDATE users SET password = :password WHERE email = :email]]
  store.promote = db:statement [[UPDATE users SET role = 'admin' WHERE email = :email]]
  store.remove = db:statement [[DELETE FROM users WHERE email = :email]]
  store.tokens = db:statement [[SELECT digest, family, subject, used FROM refresh_tokens ORDER BY used DESC]]
  store.add_expired = db:statement [[
    INSERT INTO refresh_tokens (digest, family, subject, scope, expires)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) SELECT 'expired ' || i, 'old', 'eve', '', i FROM n]]
  store.count_expired = db:statement [[SELECT count(*) FROM refresh_tokens WHERE family = 'old']]
  -- To a login's tokens many that were used before them, the oldest of which stays.
  store.add_used = db:statement [[
    INSERT INTO refresh_tokens (rowid, digest, family, subject, scope, expires, used)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
    SELECT -i, CASE i WHEN 600 THEN 'kept' ELSE 'used ' || i END, family, subject, scope, expires, 1 FROM n, refresh_tokens WHERE used = 0]]
  store.release = db:statement [[UPDATE refresh_tokens SET digest = 'released' WHERE digest = 'kept']]
  store.clear = db:statement [[DELETE FROM refresh_tokens]]
end

return store
