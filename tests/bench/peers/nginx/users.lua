-- SPDX-License-Identifier: MIT
-- What one writes by hand to check a user under nginx' Lua module: the same rules as tests/bench/app/app.lua, all errors collected,
-- unknown fields refused, the response built field by field.

local cjson = require "cjson"

local users = {}

local ROLES = { user = true, editor = true }
local FIELDS = { email = true, name = true, role = true, age = true }

local function answer(status, value)
  ngx.status = status
  ngx.header.content_type = "application/json"
  local text = cjson.encode(value)
  ngx.header.content_length = #text
  ngx.print(text)
end

local function read_body()
  ngx.req.read_body()
  local text = ngx.req.get_body_data()
  local ok, value = pcall(cjson.decode, text)
  if ok and type(value) == "table" then return value end
  return nil
end

local function check_email(value, fail)
  if type(value) ~= "string" then return fail("email", "string_type") end
  if #value > 254 or not ngx.re.find(value, [[^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$]], "jo") then
    fail("email", "value_error")
  end
end

local function check_name(value, fail)
  if type(value) ~= "string" then return fail("name", "string_type") end
  if #value < 1 then return fail("name", "string_too_short") end
  if #value > 100 then return fail("name", "string_too_long") end
  if not ngx.re.find(value, [[^[a-zA-Z\s]+$]], "jo") then fail("name", "string_pattern_mismatch") end
end

local function check_age(value, fail)
  if type(value) ~= "number" or value % 1 ~= 0 then return fail("age", "int_type") end
  if value < 0 then return fail("age", "greater_than_equal") end
  if value > 150 then fail("age", "less_than_equal") end
end

-- Returns nil, or the list of errors with `prefix` in their places.
local function check_user(user, prefix)
  local errors
  local function fail(field, kind)
    errors = errors or {}
    errors[#errors + 1] = { type = kind, loc = { "body", prefix, field } }
  end
  if type(user) ~= "table" then
    fail(nil, "model_type")
    return errors
  end
  check_email(user.email, fail)
  check_name(user.name, fail)
  if not ROLES[user.role] then fail("role", "literal_error") end
  check_age(user.age, fail)
  for field in pairs(user) do
    if not FIELDS[field] then fail(field, "extra_forbidden") end
  end
  return errors
end

local function with_id(user, id)
  return { email = user.email, name = user.name, role = user.role, age = user.age, id = id }
end

local function refuse_other_methods(allowed)
  if ngx.req.get_method() == allowed then return false end
  ngx.header.allow = allowed
  answer(405, { detail = "Method Not Allowed" })
  return true
end

function users.plain()
  if refuse_other_methods "GET" then return end
  ngx.header.content_length = 14
  ngx.print("Hello, world!\n")
end

function users.create()
  if refuse_other_methods "POST" then return end
  local user = read_body()
  if not user then return answer(422, { detail = { { type = "json_invalid", loc = { "body" } } } }) end
  local errors = check_user(user)
  if errors then return answer(422, { detail = errors }) end
  answer(201, with_id(user, 1))
end

function users.bulk()
  if refuse_other_methods "POST" then return end
  local list = read_body()
  if not list then return answer(422, { detail = { { type = "json_invalid", loc = { "body" } } } }) end
  local failed, made = {}, {}
  for index, user in ipairs(list) do
    for _, failure in ipairs(check_user(user, index - 1) or {}) do failed[#failed + 1] = failure end
    made[index] = with_id(user, index)
  end
  if failed[1] then return answer(422, { detail = failed }) end
  answer(201, made)
end

function users.not_found() answer(404, { detail = "Not Found" }) end

return users
