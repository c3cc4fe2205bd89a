-- SPDX-License-Identifier: MIT
-- The requests that are measured, and how we know that a server answered them well.

local USER = [[{"email":"ada@example.com","name":"Ada Lovelace","role":"editor","age":36}]]

local function many_users()
  local users = {}
  for index = 1, 100 do
    users[index] = ([[{"email":"user.number%d@example.com","name":"User Number %s","role":"user","age":%d}]])
      :format(index, ("ABCDEFGHIJ"):sub(index % 10 + 1, index % 10 + 1), 18 + index % 60)
  end
  return "[" .. table.concat(users, ",") .. "]"
end

local function has(text) return function(body) return body:find(text, 1, true) ~= nil end end
local function anything() return true end

---@type { short: string, title: string, method: string, path: string, body?: string, status: integer, good: fun(body: string): boolean }[]
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
}
