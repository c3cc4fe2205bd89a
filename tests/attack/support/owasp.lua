-- SPDX-License-Identifier: MIT
-- A small app under attack, and whoever attacks it: with tokens of the app's secret, since it is not the tokens that are tried here.

local assert = require "luassert"
local busted = require "busted" -- a module sees none of the words that busted gives to specs
local cjson = require "cjson"
local server = require "spec.support.server"
local tokens = require "tests.attack.support.tokens"

local owasp = {}

owasp.HEAD = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }
local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m", roles = { "user", "admin" }, token_url = "/token" }
]]

---@class attack.Owasp
---@field running server.Running
local World = {}
World.__index = World

--- The Authorization field of somebody.
function owasp.as(subject, ...)
  local roles = cjson.encode(setmetatable({ ... }, cjson.array_mt or nil))
  if select("#", ...) == 0 then roles = "[]" end
  local claims = ('{"sub":%s,"exp":%d,"roles":%s}'):format(cjson.encode(subject), os.time() + 600, roles)
  return { Authorization = "Bearer " .. tokens.make('{"alg":"HS256"}', claims) }
end

--- A request with a JSON body, if there is one; the response's JSON is in `json`.
function World:ask(method, target, who, body)
  local headers = {}
  for name, value in pairs(who or {}) do headers[name] = value end
  if body then headers["Content-Type"] = "application/json" end
  local response = self.running:request(method, target, { headers = headers,
    body = body and (type(body) == "string" and body or cjson.encode(body)) })
  local ok, value = pcall(cjson.decode, response.body)
  response.json = ok and value or nil
  return response
end

--- A whole spec: the app runs for all of its tests.
---@param app string|table<string, string> app.lua, behind the lines of HEAD, or all files
function owasp.wall(promise, app, body)
  busted.describe(promise, function()
    local world = setmetatable({}, World)
    busted.setup(function()
      local files = type(app) == "string" and { ["app.lua"] = app } or app
      world.app = server.write_app(files)
      world.running = server.start(world.app, { env = { JWT_SECRET = tokens.SECRET } })
    end)
    busted.teardown(function()
      if not world.running then return end -- why is told already
      local status, log = world.running:stop()
      server.remove_folder(world.app)
      assert(status == 0, log)
    end)
    body(world)
  end)
end

--- What `demilune check` says of an app: its exit status and words.
function owasp.check(app)
  local folder = server.write_app(app)
  local status, out, err = server.run({ "check", folder }, { env = { JWT_SECRET = tokens.SECRET } })
  server.remove_folder(folder)
  return status, out .. err
end

--- Whether production starts it: nil, or why not.
function owasp.refusal(app)
  local ok, running = pcall(server.start, app, { env = { JWT_SECRET = tokens.SECRET } })
  if not ok then return tostring(running) end
  running:stop()
  return nil
end

return owasp
