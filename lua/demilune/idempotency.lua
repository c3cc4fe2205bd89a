-- SPDX-License-Identifier: MIT
-- Idempotent routes: a client names what it wants done with an Idempotency-Key, and the
-- handler runs once for that name; whoever sends it again gets the first answer again.
-- (draft-ietf-httpapi-idempotency-key-header.) The core takes the key out of the head and
-- holds the answer back until it is kept; what stands here runs right before the handler.

local core = require "demilune.core"
local database = require "demilune.database"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local idempotency_store = require "demilune.idempotency_store"
local options = require "demilune.options"
local random = require "demilune.random"
local response = require "demilune.response"
local units = require "demilune.units"

---@class demilune.IdempotencyOptions
---@field database demilune.Database keeps the answers, in the table of demilune.idempotency_migration
---@field table? string its name: "idempotency_keys"
---@field keep? string|number how long: "24h"

---@class demilune.Idempotency
---@field store demilune.IdempotencyStore
---@field lifetime integer seconds
---@field source string

local idempotency = { migration = idempotency_store.migration }

local OPTIONS = { database = "table", table = "string", keep = "duration" }
local SHORTEST, LONGEST = 300, 366 * 86400 -- seconds
-- Doing them twice is doing them once, by what the methods mean (RFC 9110 9.2.2).
local BY_NATURE = { GET = true, HEAD = true, PUT = true, DELETE = true, OPTIONS = true }
local SPARE = 60 -- seconds: an answer must not be forgotten while its handler runs

---@param given demilune.IdempotencyOptions
---@return demilune.Idempotency
function idempotency.new(given)
  local place = errors.where()
  given = options.check(place, "app:idempotency", given, OPTIONS)
  if not given.database then errors.raise(place, "app:idempotency keeps answers in a database; write app:idempotency { database = db }") end
  local lifetime = units.seconds(given.keep or "24h")
  if not lifetime or lifetime < SHORTEST or lifetime > LONGEST then
    errors.raise(place, 'app:idempotency: keep is %s; write a time from "5m" to "366d", such as keep = "24h"', errors.show(given.keep))
  end
  lifetime = math.floor(lifetime)
  local store = idempotency_store.new(place, given.database, given.table or "idempotency_keys", lifetime)
  return { store = store, lifetime = lifetime, source = place }
end

---Checks the option of a route: true, "optional", or nil for all that is not idempotent.
---@param place string
---@param what string
---@param method string
---@param value any
---@return "required"|"optional"|nil
function idempotency.read(place, what, method, value)
  if not value then return nil end
  if value ~= true and value ~= "optional" then
    errors.raise(place, '%s: idempotent is %s; write true, or "optional" for clients that need not send an Idempotency-Key', what, errors.show(value))
  elseif BY_NATURE[method] then
    errors.raise(place, "%s: a %s may be sent again by itself (RFC 9110, 9.2.2); take idempotent out, it is for POST and PATCH", what, method)
  end
  return value == true and "required" or "optional"
end

---Checks what a route's guard, deadline and app must be; false is not asked.
---@param app demilune.App
---@param route demilune.Route
---@param what string
---@param guard demilune.Guard
function idempotency.check(app, route, what, guard)
  local made, timeout = app.idempotent, route.timeout or app.limits.handler_timeout or 0
  if guard_type.is_public(guard) then
    errors.raise(route.source, "%s is idempotent, but guard.public finds nobody whose key it could be, so that one client could get "
      .. "another's answer; give the route another guard", what)
  elseif not made then
    errors.raise(route.source, "%s is idempotent, and nothing says where its answers are kept; write app:idempotency { database = db }", what)
  elseif timeout + SPARE > made.lifetime then
    errors.raise(route.source, "%s may take %d s, and its answers are kept for %d s; keep them longer, or give it a shorter timeout", what, timeout,
      made.lifetime)
  end
end

-- --- what is answered instead of running the handler ---------------------------------------

local BUSY = "A request with this Idempotency-Key is being worked on; send it again in a moment"
local UNKNOWN = "The first request with this Idempotency-Key did not finish, and what it did is unknown; "
  .. "find out before you send it again with another key"
local OTHER = { {
  type = "idempotency_key_reused", loc = { "header", "Idempotency-Key" },
  msg = "was used for another request; send a new key, or the same request again",
} }

-- Raises what the key's first request leads to.
local function answer_again(row, fingerprint)
  if not row then response.abort(409, BUSY, { ["Retry-After"] = "1" }) end -- it was taken back just now
  if row.fingerprint ~= fingerprint then response.abort(422, OTHER) end
  if row.status then error(setmetatable({ status = row.status, fields = row.fields, body = row.body }, core.replay_type), 0) end
  if core.now() < row.ends then response.abort(409, BUSY, { ["Retry-After"] = "1" }) end
  response.abort(409, UNKNOWN)
end

local function is_abort(problem) return type(problem) == "table" and getmetatable(problem) == core.abort_type end

-- In a task of its own: the request that began it may be over by then.
local function later(what, fn, ...)
  local first, second = ...
  core.spawn(function()
    local ok, problem = pcall(fn, first, second)
    if not ok and not is_abort(problem) then core.log("error", what, { error = tostring(problem) }) end
  end)
end

-- Whether the attempt is the key's first. A claim that was cancelled, or failed half way, may be
-- there all the same: it is taken back, for its handler never runs.
local function claim(store, digest, fingerprint, attempt, longest)
  local ok, first = pcall(store.claim, digest, fingerprint, attempt, longest)
  if ok then return first end
  if is_abort(first) then error(first, 0) end
  later("an idempotency key could not be taken back", store.forgo, digest, attempt)
  core.log("error", "an idempotency key could not be claimed, so its handler does not run", { error = tostring(first) })
  return response.abort(503, "The service cannot keep answers now, so nothing was done; try again", { ["Retry-After"] = "1" })
end

local function find(store, digest)
  local ok, row = pcall(store.find, digest)
  if ok then return row end
  if is_abort(row) then error(row, 0) end
  core.log("error", "a kept answer could not be read", { error = tostring(row) })
  return response.abort(503, "The service cannot read kept answers now; try again", { ["Retry-After"] = "1" })
end

---The handler as it runs once for each key.
---@param made demilune.Idempotency
---@param handler demilune.Handler
---@return demilune.Handler
function idempotency.once(made, handler)
  local store = made.store
  return function(req, need)
    local digest, fingerprint, longest = core.idempotency_of(req)
    if not digest then return handler(req, need) end -- an optional one that was not sent
    local attempt = random.bytes(16)
    if not claim(store, digest, fingerprint, attempt, longest) then answer_again(find(store, digest), fingerprint) end
    local seen = database.watch()
    core.keep_answer(req, function(status, fields, body)
      if status == 503 and seen.turned_away and not next(seen.wrote) then store.forgo(digest, attempt)
      else store.keep(digest, attempt, status, fields, body) end
    end)
    if store.is_due() then later("answers that are too old could not be deleted", store.forget) end
    return handler(req, need)
  end
end

return idempotency
