-- SPDX-License-Identifier: MIT
-- What all guards are: a description that the core compiles, and the questions that
-- the rest of this layer asks about one. The constructors are in guard.lua and in
-- the files of their names.

---@class demilune.Guard
---@field kind string
---@field source? string where it was made
---@field place? string which one it is, of those whose subjects may be the same and somebody else
---@field member? demilune.Guard of role, scope and owner
---@field members? demilune.Guard[] of any
---@field names? string[] of role and scope
---@field of? demilune.Dependency of role: whose user's roles count

local guard_type = {}

local metatables = {}

local function show(self) return "guard." .. self.kind end

---The metatable of a kind of guard, with its methods.
---@param methods? table<string, function>
---@return table
function guard_type.metatable(methods)
  local metatable = { __index = methods or {}, __tostring = show }
  metatables[metatable] = true
  return metatable
end

local made = {}

---The place of a guard that is being made. Subjects are named by whoever gives out tokens or sessions: of two guards the
---same name is two people, unless both verify that one issuer gave it. What people are counted and remembered by must be the
---same in every worker, on every machine and after a reload, so it is made of no secret, which is replaced, and of no line:
---the cookie, which the browsers of one service hold once, and which one of that cookie it is.
---@param kind string
---@param cookie? string
---@return string
function guard_type.place(kind, cookie)
  local name = cookie or ""
  made[kind] = made[kind] or {}
  made[kind][name] = (made[kind][name] or 0) + 1
  return ("%s/%d"):format(name, made[kind][name])
end

---@param value any
---@return boolean
function guard_type.is(value) return type(value) == "table" and metatables[getmetatable(value)] == true end

---Raises, at the line that called a method of a guard, where that was with a dot: it would work on what was meant for its first parameter.
---@param self any
---@param method string as it is written: "session:issue"
function guard_type.check_self(self, method)
  if guard_type.is(self) then return end
  error(("write %s(...) with a colon, not %s(...)"):format(method, (method:gsub(":", "."))), 3)
end

---Calls visit for the guard and all that it is made of, the outermost first.
---@param guard demilune.Guard
---@param visit fun(guard: demilune.Guard)
function guard_type.each(guard, visit)
  visit(guard)
  if guard.member then guard_type.each(guard.member, visit) end
  for _, member in ipairs(guard.members or {}) do guard_type.each(member, visit) end
end

---The parts that look at credentials.
---@param guard demilune.Guard
---@return demilune.Guard[]
function guard_type.leaves(guard)
  local leaves = {}
  guard_type.each(guard, function(part)
    if not part.member and not part.members then leaves[#leaves + 1] = part end
  end)
  return leaves
end

---@param guard demilune.Guard
---@return boolean
function guard_type.is_public(guard)
  for _, leaf in ipairs(guard_type.leaves(guard)) do
    if leaf.kind == "public" then return true end
  end
  return false
end

---Whether Lua decides it, once it is known who calls.
---@param part demilune.Guard
---@return boolean
function guard_type.is_late(part) return part.kind == "owner" or part.of ~= nil end

---Whether everybody who passes guard would pass wanted too. What Lua decides is sure only of the same guard.
---@param guard demilune.Guard
---@param wanted demilune.Guard
---@return boolean
function guard_type.covers(guard, wanted)
  if guard == wanted then return true end
  for _, alternative in ipairs(wanted.members or {}) do
    if guard_type.covers(guard, alternative) then return true end
  end
  if guard.member then return guard_type.covers(guard.member, wanted) end
  for _, member in ipairs(guard.members or {}) do
    if not guard_type.covers(member, wanted) then return false end
  end
  return guard.members ~= nil
end

---The guard without what Lua decides, for the core, and the parts that Lua decides.
---@param guard demilune.Guard
---@return demilune.Guard
---@return demilune.Guard[] late the outermost first
function guard_type.split(guard)
  if not guard.member then return guard, {} end
  local inner, late = guard_type.split(guard.member)
  if guard_type.is_late(guard) then
    table.insert(late, 1, guard)
    return inner, late
  end
  if inner == guard.member then return guard, late end
  local copy = {}
  for name, value in pairs(guard) do copy[name] = value end
  copy.member = inner
  return setmetatable(copy, getmetatable(guard)), late
end

return guard_type
