-- SPDX-License-Identifier: MIT
-- The Redis store that counts an app's limits, exactly for all its machines. The
-- core connects to it when the app starts; here it is only declared.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local options = require "demilune.options"
local secrets = require "demilune.secrets"
local units = require "demilune.units"

---@class demilune.LimitStoreOptions
---@field url? string|userdata "redis://127.0.0.1:6379/0", or a secret; without it, what --redis says
---@field on_store_failure? "local"|"open"|"closed" what counts while it cannot be asked: the table, nobody, or 503 for all
---@field prefix? string what its keys begin with; the title of the app when nothing is said
---@field timeout? number|string what a check may take: "50ms"

---@class demilune.LimitStore
---@field url? string|userdata
---@field on_store_failure "local"|"open"|"closed"
---@field prefix string
---@field timeout number seconds
---@field idle? boolean it is never asked, and the table counts: specs must not count in the real one
---@field source? string where it was declared

local limit_store = {}

local OPTIONS = { url = "any", on_store_failure = "string", prefix = "string", timeout = "duration" }
local FAILURES = { ["local"] = true, open = true, closed = true }
local EXAMPLE = 'limit_store = { url = "redis://127.0.0.1:6379/0" }'
local PREFIX_MOST, TIMEOUT_LEAST, TIMEOUT_MOST = 64, 0.001, 5

-- Two apps in one Redis must not count each other's clients: not where their titles differ in letters that cannot stand here, or far behind.
local function prefix_of(title)
  if not title then return "demilune" end
  local plain = title:gsub("[^%w_.-]", "_")
  local prefix = "demilune:" .. plain
  if plain == title and #prefix <= PREFIX_MOST then return prefix end
  local digest = ":" .. core.sha256_hex(title):sub(1, 16)
  return prefix:sub(1, PREFIX_MOST - #digest) .. digest
end

local function check(place, given)
  options.check(place, "demilune.app: limit_store", given, OPTIONS)
  if given.url ~= nil and type(given.url) ~= "string" and not secrets.is(given.url) then
    errors.raise(place, "demilune.app: limit_store: url is text or a secret, not %s; write %s", errors.show(given.url), EXAMPLE)
  elseif given.url == "" then
    errors.raise(place, "demilune.app: limit_store: url is empty; write %s", EXAMPLE)
  elseif given.on_store_failure and not FAILURES[given.on_store_failure] then
    errors.raise(place, 'demilune.app: limit_store: on_store_failure is %s; write "local" (this machine counts), "open" (everybody passes) '
      .. 'or "closed" (503)', errors.show(given.on_store_failure))
  elseif given.prefix and (#given.prefix > PREFIX_MOST or not given.prefix:match("^[%w_.:-]+$")) then
    errors.raise(place, 'demilune.app: limit_store: prefix is %s; write up to %d letters, digits and "_.:-"', errors.show(given.prefix), PREFIX_MOST)
  end
end

local function read_timeout(place, given)
  local seconds = given == nil and 0.05 or units.seconds(given)
  if not seconds or seconds < TIMEOUT_LEAST or seconds > TIMEOUT_MOST then
    errors.raise(place, 'demilune.app: limit_store: timeout is %s; write "50ms", at least "1ms" and at most "5s"', errors.show(given))
  end
  return seconds
end

---What the option limit_store says, checked. Without it, what --redis gives is used as
---the defaults say.
---@param place string
---@param given? string|userdata|demilune.LimitStoreOptions
---@param title? string of the app
---@return demilune.LimitStore
function limit_store.read(place, given, title)
  if type(given) == "string" or secrets.is(given) then given = { url = given } end
  local source = given and place or nil
  given = given or {}
  if type(given) ~= "table" then
    errors.raise(place, "demilune.app: limit_store is a table, an address or a secret, not %s; write %s", errors.show(given), EXAMPLE)
  end
  check(place, given)
  return {
    url = given.url, on_store_failure = given.on_store_failure or "local", prefix = given.prefix or prefix_of(title),
    timeout = read_timeout(place, given.timeout), idle = context.mode == "test", source = source and source .. ": demilune.app: limit_store",
  }
end

return limit_store
