-- SPDX-License-Identifier: MIT
-- The database and its statements, where specs can reach them.

local store = {}

function store.open(app)
  local db = app:database("sqlite:test.db", { transaction_ms = 1000, queue_max = 8 })
  store.db = db
  store.add = db:statement([[
    INSERT INTO users (email, role, age, team) VALUES (:email, coalesce(:role?, 'user'), :age?, :team?) RETURNING *]],
    { unique = { ["users.email"] = "This e-mail address is taken" }, foreign_key = "There is no such team" })
  store.plain_add = db:statement [[INSERT INTO users (email) VALUES (:email)]]
  store.list = db:statement([[SELECT email FROM users WHERE active AND {filters} ORDER BY {order} LIMIT :limit]], {
    filters = { role = "role = :role", age = "age BETWEEN :from AND :to", ids = "id IN (:ids*)" },
    orders = { newest = "id DESC", name = "email, id" },
    default_order = "name",
  })
  store.all_but = db:statement [[SELECT email FROM users WHERE id NOT IN (:ids*) ORDER BY id]]
  store.echo = db:statement [[SELECT :value AS value, typeof(:value) AS type]]
  store.photo = db:statement([[SELECT :photo AS value, typeof(:photo) AS type]], { bytes = { "photo" } })
  store.wide = db:statement [[SELECT 9007199254740993 AS wide, 9007199254740991 AS safe]]
  store.count = db:statement [[SELECT count(*) FROM users]]
  store.clear = db:statement [[DELETE FROM users]]
  store.numbers = db:statement [[WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT :count) SELECT i FROM n]]

  -- Here a transaction that nobody ends would outlast what a write waits for it.
  store.patient = app:database("sqlite::memory:", { transaction_ms = 30000 })
  store.patient_add = store.patient:statement [[INSERT INTO users (email) VALUES (:email)]]
  store.patient_count = store.patient:statement [[SELECT count(*) FROM users]]
  return store
end

return store
