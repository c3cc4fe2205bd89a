-- SPDX-License-Identifier: MIT
-- The requests that are measured, and how we know that a server answered them well.

local jwt = require "spec.support.jwt"
local request = require "tests.bench.lib.request"

local USER = [[{"email":"ada@example.com","name":"Ada Lovelace","role":"editor","age":36}]]

local function many_users()
  local users = {}
  for index = 1, 100 do
    users[index] = ([[{"email":"user.number%d@example.com","name":"User Number %s","role":"user","age":%d}]])
      :format(index, ("ABCDEFGHIJ"):sub(index % 10 + 1, index % 10 + 1), 18 + index % 60)
  end
  return "[" .. table.concat(users, ",") .. "]"
end

local FRESH = 20000 -- more tokens than Demilune remembers

local function token(number)
  local now = os.time()
  local claims = ('{"sub":"7","roles":["editor"],"iat":%d,"exp":%d,"n":%d}'):format(now, now + 80000, number)
  return jwt.sign('{"alg":"HS256","typ":"JWT"}', claims, request.secret)
end
local function bearer(text) return { Authorization = "Bearer " .. text } end
local function is_ada(body) return body:find('"id":%s*7%D') ~= nil and body:find("ada@example.com", 1, true) ~= nil end
local TOKEN = token(0)

-- Tokens that nobody has sent yet, for a scenario that sends each in its turn.
local function fresh_tokens()
  local list = {}
  for number = 1, FRESH do list[number] = token(number) end
  return list
end

local function has(text) return function(body) return body:find(text, 1, true) ~= nil end end
local function anything() return true end

---@class bench.Scenario
---@field short string
---@field title string
---@field method string
---@field path string
---@field body? string
---@field headers? table<string, string>
---@field tokens? fun(): string[] each sent in its turn, as Authorization
---@field prime? integer requests before, whatever is answered
---@field status integer
---@field good fun(body: string): boolean

---@type bench.Scenario[]
return {
  { short = "plain", title = "`GET /plain`", method = "GET", path = "/plain", status = 200, good = has("Hello, world!\n") },
  { short = "create", title = "`POST /users`, 72 bytes, validated in and out", method = "POST", path = "/users", body = USER, status = 201,
    good = function(body) return body:find('"id":%s*1%D') ~= nil and body:find("ada@example.com", 1, true) ~= nil end },
  { short = "bulk", title = "`POST /users/bulk`, 100 users, 9 KB, in and out", method = "POST", path = "/users/bulk", body = many_users(),
    status = 201, good = function(body) return body:find('"id":%s*100%D') ~= nil and body:find("user.number100@example.com", 1, true) ~= nil end },
  { short = "missing", title = "refused: no such path (404)", method = "GET", path = "/nothing/here", status = 404, good = anything },
  { short = "method", title = "refused: method not allowed (405)", method = "DELETE", path = "/plain", status = 405, good = anything },
  { short = "invalid", title = "refused: invalid body (422)", method = "POST", path = "/users", status = 422, good = has("age"),
    body = USER:gsub("36}", "236}") },
  { short = "me", title = "`GET /me`, HS256, one client's token", method = "GET", path = "/me", headers = bearer(TOKEN), status = 200,
    good = is_ada },
  { short = "fresh", title = "`GET /me`, HS256, 20,000 tokens in turn", method = "GET", path = "/me", headers = bearer(TOKEN), tokens = fresh_tokens,
    status = 200, good = is_ada },
  { short = "seen", title = "`GET /hello`: `/plain` behind a token seen before", method = "GET", path = "/hello", headers = bearer(TOKEN),
    status = 200, good = has("Hello, world!\n") },
  { short = "counted", title = "`GET /counted`: `/plain` with a limit", method = "GET", path = "/counted", status = 200,
    good = has("Hello, world!\n") },
  { short = "nobody", title = "refused: no token (401)", method = "GET", path = "/me", status = 401, good = anything },
  { short = "forged", title = "refused: a token of another key (401)", method = "GET", path = "/me", headers = bearer(TOKEN:sub(1, -9) .. "AAAAAAAA"),
    status = 401, good = anything },
  { short = "forbidden", title = "refused: not the role (403)", method = "GET", path = "/admin", headers = bearer(TOKEN), status = 403,
    good = anything },
  { short = "limited", title = "refused: too many requests (429)", method = "GET", path = "/limited", prime = 1, status = 429, good = anything },
}
