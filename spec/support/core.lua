-- SPDX-License-Identifier: MIT
-- A stand-in for demilune.core, so that the parts of the Lua layer that are only
-- Lua have specs that need no build. It validates what the specs need and no
-- more; what the real core does is shown by the tests over sockets.

local core = {
  null = io.stdout, -- any value of its own that is no table, string or number
  array_type = {},
  response_type = {},
  abort_type = {},
  replay_type = {},
  logged = {}, -- { level, text, fields } of each core.log
  seconds = 1893456000, -- 2030-01-01T00:00:00Z
}

function core.log(level, text, fields) core.logged[#core.logged + 1] = { level = level, text = text, fields = fields } end
function core.foreign_page() return false end
function core.principal() return core.caller end
function core.principal_place() return core.place end
function core.has_loaded() return false end
function core.field_fault() return nil end
function core.app_file() return nil, false end
function core.now() return core.seconds end
function core.clock_move(milliseconds) core.seconds = core.seconds + milliseconds / 1000 end
function core.sleep(seconds) core.slept = seconds end
function core.prepare(_, result) return result end
function core.single(value) return value end
function core.spawn(fn) fn() end
function core.random(bytes) return ("r"):rep(bytes) end
function core.embedded_docs(name) return "(" .. name .. ")" end

local Secret = { __tostring = function() return "secret(redacted)" end }
Secret.__index = Secret
function Secret:length() return #self.secret end
function Secret:equal(other) return self.secret == (type(other) == "table" and other.secret or other) end
function core.secret(text) return setmetatable({ secret = text }, Secret) end
function core.secret_reveal(secret) return secret.secret end

-- Keys that sign by writing down what they were given.
local KeySet = {}
KeySet.__index = KeySet
function KeySet.sign(_, claims) return "signed " .. claims end
function KeySet:algorithms()
  local names = {}
  for index, key in ipairs(self.keys) do names[index] = key.algorithm end
  return names
end
function KeySet:takes(other) return self.keys[1].secret == other.keys[1].secret end
function core.key_set(keys) return setmetatable({ keys = keys }, KeySet) end
function core.sealer(secrets)
  return {
    secrets = secrets, seal = function(_, purpose, text) return purpose .. " sealed " .. text end,
    unseal = function(_, purpose, text) return text:match("^" .. purpose:gsub("%-", "%%-") .. " sealed (.*)$") end,
  }
end
function core.set_roles(names) core.roles = table.concat(names, " ") end
-- No digest, but of texts of one length others too.
function core.sha256_hex(given)
  if type(given) ~= "string" then return ("%02x"):format(#core.secret_reveal(given)):rep(32) end
  local sum = 0
  for index = 1, #given do sum = (sum * 31 + given:byte(index)) % 2 ^ 32 end
  return ("%08x"):format(sum):rep(8)
end

local function encode_table(value)
  local parts = {}
  if #value > 0 or getmetatable(value) == core.array_type then
    for index, item in ipairs(value) do parts[index] = core.json_encode(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for index, name in ipairs(names) do parts[index] = core.json_encode(name) .. ":" .. core.json_encode(value[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function core.json_encode(value)
  if value == nil or value == core.null then return "null" end
  if type(value) == "table" then return encode_table(value) end
  if type(value) == "function" then error("json_encode: a function") end
  if type(value) ~= "string" then return tostring(value) end
  return '"' .. value:gsub('[%c"\\]', function(letter) return ("\\u%04x"):format(letter:byte()) end) .. '"'
end

-- Flat JSON as the specs have it: {"a":1,"b":"x"}.
function core.json_decode(text)
  if text:sub(1, 1) ~= "{" then return nil, "expected a value" end
  local value = {}
  for name, item in text:gmatch('"([^"]+)":("?[^,}"]*)') do value[name] = tonumber(item) or item:gsub('^"', "") end
  return value
end

-- Validation by kind of what came as text; anything unknown passes.
local kinds = {
  integer = function(text) return tonumber(text) and tonumber(text) % 1 == 0 and tonumber(text), "int_parsing", "should be a whole number" end,
  secret = function(text, desc)
    return #text >= (desc.min_bytes or 0) and core.secret(text), "secret_too_short", ("needs at least %d bytes"):format(desc.min_bytes or 0)
  end,
}

local function check_field(entry, text, values, problems)
  local desc, optional = entry.schema, entry.schema.optional
  local loc = { "environment", entry.name }
  while desc.kind == "ref" do
    desc = desc.get()
    optional = optional or desc.optional
  end
  if text == nil then
    if desc.default ~= nil then
      values[entry.name] = desc.default
    elseif not optional then
      problems[#problems + 1] = { type = "missing", loc = loc, msg = "is required" }
    end
    return
  end
  local value, kind, message = text, nil, nil
  if kinds[desc.kind] then value, kind, message = kinds[desc.kind](text, desc) end
  if value then
    values[entry.name] = value
  else
    problems[#problems + 1] = { type = kind, loc = loc, msg = message }
  end
end

local Schema = {}
Schema.__index = Schema

function Schema:validate(given)
  local values, problems = {}, {}
  for _, entry in ipairs(self.description.fields) do check_field(entry, given[entry.name], values, problems) end
  if #problems > 0 then return nil, problems end
  return values
end

-- What was compiled stays to be looked at.
function core.schema_compile(description)
  if description.pattern == "(" then error("pattern is not closed", 0) end
  return setmetatable({ description = description }, Schema)
end

---Makes require "demilune.core" give this table.
function core.install()
  package.loaded["demilune.core"] = core
  return core
end

return core
