-- SPDX-License-Identifier: MIT
-- Logins by demilune.accounts, once with a database and once with parts of its own,
-- for the specs beside this file.

local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local store = require "store"

local app = demilune.app { title = "Accounts", version = "1.0.0", guard = guard.public }
local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }
store.open(app)

local bearer = guard.bearer {
  secret = settings.JWT_SECRET, algorithms = { "HS256" }, lifetime = "15m", roles = { "user", "admin" }, scopes = { "read", "write" },
  token_url = "/token",
}

local function with_lists(row)
  if not row then return nil end
  return { id = row.id, password = row.password, roles = { row.role }, scopes = store.scopes }
end

local accounts = demilune.accounts {
  bearer = bearer, database = store.db, username = model.email(),
  find = function(username) return with_lists(store.find:one { email = username }) end,
  find_by_id = function(subject)
    if store.fails then demilune.abort(503, "The database is busy") end
    return with_lists(store.find_by_id:one { id = tonumber(subject) })
  end,
  rehash = function(account, phc) store.rehash:run { id = account.id, password = phc, old = account.password } end,
}
app:mount(accounts)
app:delete("/logins", { guard = bearer, status = 204 }, function(req) accounts:finish_all(req.principal.subject) end)

-- Nothing of ours but the routes.
local own = demilune.accounts {
  bearer = bearer, prefix = "/own", tags = { "own" }, token_url = "/login", refresh_url = "/again", logout_url = "/out", cookie = "__Host-own",
  lifetime = "1h", limit = "2/minute", refresh_limit = "1000/minute",
  find = function(username) return username:find "^robot" and { id = username, password = store.own_password } or nil end,
  find_by_id = function(subject) return { id = subject, password = store.own_password } end,
  verify = function(account, given)
    store.given = tostring(given)
    if store.verdict ~= nil then return store.verdict end
    return account ~= nil and given ~= nil
  end,
  issue = function(account) return store.fails and error "no token today" or "token-of-" .. account.id end,
  store = {
    begin = function(subject) return "first-" .. subject end,
    look_up = function(token)
      local subject = token:match("^first%-(.+)$")
      return subject and { subject = subject, scope = "" } or nil
    end,
    rotate = function(token)
      store.rotated[#store.rotated + 1] = token
      local subject = token:match("^first%-(.+)$")
      return subject and { token = "next-" .. subject, subject = subject, scope = "", expires = math.floor(demilune.now()) + 60 } or nil
    end,
    revoke = function(token) store.revoked[#store.revoked + 1] = token end,
    finish_all = function(subject) store.revoked[#store.revoked + 1] = "all of " .. subject end,
  },
}
app:mount(own)
app:delete("/own/logins/{id}", { path = { id = model.integer() }, status = 204 }, function(req) own:finish_all(req.path.id) end)

-- Names that are numbers, as of customers.
app:mount(demilune.accounts {
  bearer = bearer, database = store.db, prefix = "/numbered", tags = { "numbered" }, username = model.integer(),
  find = function(number) return number == 7 and { id = number } or nil end,
  find_by_id = function(subject) return { id = subject } end,
  verify = function(account) return account ~= nil end,
})

app:get("/me", { guard = bearer }, function(req)
  return { subject = req.principal.subject, roles = req.principal.roles, scopes = req.principal.scopes }
end)

return app
