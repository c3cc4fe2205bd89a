-- SPDX-License-Identifier: MIT
-- The test client's cookies: what a browser would keep and send back to the one
-- server a test has, by the server's own clock (RFC 6265).

local core = require "demilune.core"
local secrets = require "demilune.secrets"
local units = require "demilune.units"

---@class demilune.TestCookies
---@field kept table<string, { value: string, path: string, ends: number? }>
local Cookies = {}
Cookies.__index = Cookies

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

-- "Wed, 01 Jan 2030 00:00:00 GMT" in seconds since 1970.
local function seconds_of_date(text)
  local day, month, year, clock = text:match("(%d%d)[ -](%a%a%a)[ -](%d%d%d%d) (%d%d:%d%d:%d%d)")
  if not day or not MONTHS[month] then return nil end
  return units.epoch(("%s-%02d-%sT%sZ"):format(year, MONTHS[month], day, clock))
end

local function ending(attributes)
  local age = tonumber(attributes["max-age"])
  if age then return core.now() + age end
  return attributes.expires and seconds_of_date(attributes.expires)
end

---Takes what a response set.
---@param fields string[] Set-Cookie fields
function Cookies:take(fields)
  for _, field in ipairs(fields) do
    local name, value, rest = field:match("^([^=;]+)=([^;]*)(.*)$")
    if name then
      local attributes = {}
      for attribute, setting in rest:gmatch(";%s*([^=;]+)=?([^;]*)") do attributes[attribute:lower()] = setting end
      local ends = ending(attributes)
      local alive = not ends or ends > core.now()
      self.kept[name] = alive and { value = value, path = attributes.path or "/", ends = ends } or nil
    end
  end
end

local function covers(path, target)
  local asked = target:match("^[^?]*")
  return asked == path or path:sub(-1) == "/" and asked:sub(1, #path) == path or asked:sub(1, #path + 1) == path .. "/"
end

---The Cookie field for a target, with a request's own cookies; nil when there are none.
---@param target string
---@param own table<string, string>?
---@return string?
function Cookies:field(target, own)
  local sent = {}
  for name, cookie in pairs(self.kept) do
    if (not cookie.ends or cookie.ends > core.now()) and covers(cookie.path, target) then sent[name] = cookie.value end
  end
  for name, value in pairs(own or {}) do sent[name] = tostring(secrets.sent(value)) end
  local pairs_of = {}
  for name, value in pairs(sent) do pairs_of[#pairs_of + 1] = name .. "=" .. value end
  table.sort(pairs_of)
  return #pairs_of > 0 and table.concat(pairs_of, "; ") or nil
end

return { new = function() return setmetatable({ kept = {} }, Cookies) end }
