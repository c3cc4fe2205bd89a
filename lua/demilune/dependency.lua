-- SPDX-License-Identifier: MIT
-- Dependencies: functions whose results handlers need. Each is resolved once per
-- request; in which order is decided at load, where a handler and its
-- dependencies become one function. What a dependency holds ends newest first:
-- finish before the first byte leaves, release after the last.

local core = require "demilune.core"
local errors = require "demilune.errors"
local guard_type = require "demilune.guard_type"
local idempotency = require "demilune.idempotency"
local limit = require "demilune.limit"
local response = require "demilune.response"
local verdict = require "demilune.verdict"

---@class demilune.Dependency
---@field needs table<string, demilune.Dependency>
---@field resolve fun(req: table, need: table): any, (fun(ok: boolean)|{ finish: function?, release: function? })?
---@field source string
local Dependency = {}
Dependency.__index = Dependency
Dependency.__tostring = function(self) return "dependency " .. self.source end

local dependency = {}

---A dependency from what it needs, if anything, and the function that finds it.
---@param needs table<string, demilune.Dependency>|function
---@param resolve? function
---@return demilune.Dependency
function dependency.new(needs, resolve)
  local place = errors.where()
  if resolve == nil and type(needs) == "function" then needs, resolve = {}, needs end
  if type(needs) ~= "table" or getmetatable(needs) == Dependency then
    errors.raise(place, "a dependency's needs must be a table of names, not %s; "
      .. "write app:dependency({ user = current_user }, function(req, need) ... end)", errors.show(needs))
  end
  if type(resolve) ~= "function" then
    errors.raise(place, "a dependency must be a function, not %s; write app:dependency(function(req, need) return value end)", errors.show(resolve))
  end
  dependency.check_needs(place, "app:dependency", needs)
  return setmetatable({ needs = needs, resolve = resolve, source = place }, Dependency)
end

---@param value any
---@return boolean
function dependency.is(value) return getmetatable(value) == Dependency end

---Checks a table of needs: names to dependencies.
---@param place string
---@param what string who needs them: "GET /me"
---@param needs table<string, demilune.Dependency>
function dependency.check_needs(place, what, needs)
  if dependency.is(needs) or guard_type.is(needs) then
    errors.raise(place, "%s: needs is a table of names, not %s itself; write needs = { user = current_user }", what, tostring(needs))
  end
  for name, needed in pairs(needs) do
    if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
      errors.raise(place, "%s: every need wants a name, such as needs = { user = current_user }", what)
    elseif getmetatable(needed) ~= Dependency and not guard_type.is(needed) then
      errors.raise(place, "%s: need %s must be a guard or what app:dependency gave, not %s", what, name, errors.show(needed))
    end
  end
end

local function sorted_names(needs)
  local names = {}
  for name in pairs(needs) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- A guard as a need is who it found. The route's own guard decides who passes, so it
-- must let nobody in whom the need would not.
local function check_guard(place, what, name, needed, guard)
  if guard_type.covers(guard, needed) then return end
  local said = guard_type.is_public(guard) and "its guard.public lets everybody pass" or ("its %s lets others pass too"):format(tostring(guard))
  errors.raise(place, "%s: need %s is for whom %s lets pass, but %s; give the route that guard", what, name, tostring(needed), said)
end

-- Appends what needs leads to, deepest first, each once. trail holds the names
-- that led here, so that a circle can be told by name.
local function walk(needs, place, what, order, numbers, open, trail)
  dependency.check_needs(place, what, needs)
  for _, name in ipairs(sorted_names(needs)) do
    local needed = needs[name]
    trail[#trail + 1] = name
    if guard_type.is(needed) then
      check_guard(place, what, name, needed, order.guard)
    elseif open[needed] then
      errors.raise(needed.source, "a dependency needs itself: %s; take one of these needs out", table.concat(trail, " needs "))
    end
    if not numbers[needed] and not guard_type.is(needed) then
      open[needed] = true
      walk(needed.needs, needed.source, "the dependency " .. name, order, numbers, open, trail)
      open[needed] = nil
      order[#order + 1] = needed
      numbers[needed] = #order
    end
    trail[#trail] = nil
  end
end

-- The metatable of a table of needs: to read what is not declared beside the function that reads is an error there.
local function strict(what, needs)
  local declared, known = {}, sorted_names(needs)
  for _, name in ipairs(known) do declared[name] = true end
  return { __index = function(_, name)
    if declared[name] then return nil end -- its dependency gave nothing
    local nearest = errors.nearest(name, known)
    local hint = nearest and (" did you mean need.%s?"):format(nearest) or ""
    local all = #known > 0 and table.concat(known, ", ") or "nothing"
    errors.raise(errors.where(), "there is no need.%s;%s %s needs %s", tostring(name), hint, what, all)
  end }
end

-- Source of a table of needs: { user = v2, session = v1, principal = req.principal }.
local function table_source(needs, numbers)
  local parts = {}
  for index, name in ipairs(sorted_names(needs)) do
    local number = numbers[needs[name]]
    parts[index] = ("[%q] = %s"):format(name, number and "v" .. number or "req.principal")
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

-- A string error keeps the place where it was raised; what abort raised stays as it is.
local function explain(problem)
  if type(problem) ~= "string" then return problem end
  return debug.traceback(problem, 2)
end

-- What is wrong with how a dependency says that it ends, or nil.
local function slip_of(ending)
  if type(ending) ~= "table" then return "its second result was " .. errors.show(ending) end
  for name, fn in pairs(ending) do
    if name ~= "finish" and name ~= "release" then return ("its second result has %s"):format(errors.show(name)) end
    if fn and type(fn) ~= "function" then return ("its %s is %s"):format(name, errors.show(fn)) end
  end
end

-- Notes how a dependency ends. held has what must finish, oldest first.
local function keep(req, held, ending, place)
  if type(ending) == "function" then ending = { finish = ending } end
  local slip = slip_of(ending)
  if type(ending) == "table" then -- what it holds ends, whatever else it says
    if type(ending.finish) == "function" then held[#held + 1] = ending.finish end
    if type(ending.release) == "function" then req:release(ending.release) end
  end
  if slip then
    error(place .. ": a dependency gives its value and, if it holds something, a finish function or { finish = fn, release = fn }; " .. slip, 0)
  end
end

-- Runs what must finish, newest first. All run, whatever fails; the first failure
-- after a success becomes the response.
local function finish_all(held, ok, result)
  for index = #held, 1, -1 do
    local done, problem = xpcall(held[index], explain, ok)
    if not done then
      if ok then
        ok, result = false, problem
      else
        core.log("error", "a dependency's finish failed after the request had failed", { error = tostring(problem) })
      end
    end
  end
  return ok, result
end

local function protect(body)
  return function(req)
    local held = {}
    local ok, result = xpcall(body, explain, req, held)
    if #held > 0 then
      -- What finishes (a commit, say) must know whether there is a response at all.
      if ok then ok, result = xpcall(core.prepare, explain, req, result) end
      ok, result = finish_all(held, ok, result)
    end
    if not ok then error(result, 0) end
    return result
  end
end

-- --- what a guard leaves to Lua ---------------------------------------------------------

local function place_of(owner)
  local info = debug.getinfo(owner, "S")
  return ("%s:%d: owner"):format(info.short_src, info.linedefined)
end

-- Somebody else's object is as if it were not.
local function with_owners(run, owners)
  if #owners == 0 then return run end
  local places = {}
  for index = 1, #owners do places[index] = place_of(owners[index]) end
  return function(req, need)
    for index = 1, #owners do
      if not verdict.is_yes(owners[index](req, need), places[index]) then response.abort(404) end
    end
    return run(req, need)
  end
end

-- Who looks at the request alone is asked before any need is resolved, so that a need
-- that finds no object does not tell strangers which there are.
local function split_owners(owners)
  local early, late = {}, {}
  for _, owner in ipairs(owners or {}) do
    local info = debug.getinfo(owner, "u")
    local list = info.nparams < 2 and not info.isvararg and early or late
    list[#list + 1] = owner
  end
  return early, late
end

local function roles_of(user)
  local roles = {}
  local function add(name)
    if type(name) == "string" and not roles[name] then roles[#roles + 1], roles[name] = name, true end
  end
  add(user.role)
  for _, name in ipairs(type(user.roles) == "table" and user.roles or {}) do add(name) end
  return roles
end

-- Raises a 403 unless the dependency's user has the roles that the guard names. They are the principal's then, for handlers and `visible_to`:
-- what a token says is what was true when it was made.
local function role_asker(guard)
  return function(req, user)
    if type(user) ~= "table" then
      error(("%s: guard.role asks for the roles of what this dependency gives, which must be a table with role or roles, not %s")
        :format(guard.of.source, errors.show(user)), 0)
    end
    local held, roles = 0, roles_of(user)
    for _, name in ipairs(guard.names) do held = held + (roles[name] and 1 or 0) end
    if held == #guard.names or held > 0 and not guard.all then
      core.set_roles(roles)
      req.principal.roles = { unpack(roles) }
      return
    end
    core.log("info", "a guard refused", { reason = "the user of a dependency has not the role" })
    response.abort(403)
  end
end

-- Users whose roles are asked for come first, each asked as soon as it is there.
local function arrange(needs, place, what, guard, roles)
  local order, numbers, askers = { guard = guard }, {}, {}
  for _, role in ipairs(roles) do
    walk({ user = role.of }, place, what, order, numbers, {}, {})
    local number = numbers[role.of]
    askers[number] = askers[number] or {}
    table.insert(askers[number], role_asker(role))
  end
  walk(needs, place, what, order, numbers, {}, {})
  return order, numbers, askers
end

-- One function that resolves in order, asks, and handles; protected, so that all ends.
local function join(handler, needs, place, what, guard, roles)
  local order, numbers, askers = arrange(needs, place, what, guard, roles)
  local lines = { "local keep, handler, resolve, places, ask, strict, setmetatable = ...", "return function(req, held)", "  local ending" }
  local resolvers, places, metatables = {}, {}, {}
  for number, needed in ipairs(order) do
    resolvers[number], places[number] = needed.resolve, needed.source
    metatables[number] = strict("the dependency at " .. needed.source, needed.needs)
    lines[#lines + 1] = ("  local v%d v%d, ending = resolve[%d](req, setmetatable(%s, strict[%d]))")
      :format(number, number, number, table_source(needed.needs, numbers), number)
    lines[#lines + 1] = ("  if ending ~= nil then keep(req, held, ending, places[%d]) end"):format(number)
    for index in ipairs(askers[number] or {}) do lines[#lines + 1] = ("  ask[%d][%d](req, v%d)"):format(number, index, number) end
  end
  lines[#lines + 1] = ("  return (handler(req, %s))"):format(table_source(needs, numbers))
  lines[#lines + 1] = "end"
  local make = assert(loadstring(table.concat(lines, "\n"), "=(needs of " .. what .. ")"))
  return protect(make(keep, handler, resolvers, places, askers, metatables, setmetatable))
end

---@class demilune.Asked what a route's guard asks for in Lua
---@field guard? demilune.Guard the route's, whole
---@field idempotency? demilune.Idempotency of an idempotent route
---@field limits? demilune.LimitRule[] of the route; those by a function are counted here
---@field owners? function[] that say whose object it is
---@field roles? demilune.Guard[] that look at a dependency's user

-- What ends by what the handler gives, a commit or a kept answer, goes by all of it. The
-- needs become strict here, behind limits and owners, which routes of other needs may share.
local function single(handler, needs, what)
  local metatable = strict(what, needs)
  return function(req, need) return core.single(handler(req, need and setmetatable(need, metatable))) end
end

---The handler and all it needs as one function of the request.
---A handler without needs, of which nothing is asked, is given back as it is.
---@param handler fun(req: table, need: table): any
---@param needs? table<string, demilune.Dependency>
---@param place string where the route was declared
---@param what string the route: "GET /me"
---@param asked? demilune.Asked
---@return fun(req: table): any
function dependency.compile(handler, needs, place, what, asked)
  asked = asked or {}
  local early, late = split_owners(asked.owners)
  local roles, has_needs = asked.roles or {}, needs ~= nil and next(needs) ~= nil
  if asked.idempotency or #roles > 0 or has_needs or #late > 0 then handler = single(handler, needs or {}, what) end
  local once = asked.idempotency and idempotency.once(asked.idempotency, handler) or handler -- behind all that may refuse
  local run = limit.counting(with_owners(once, late), asked.limits) -- before owners: trying doors is counted too
  if #roles > 0 or has_needs then
    run = join(run, needs or {}, place, what, asked.guard or { kind = "public" }, roles)
  elseif #late > 0 then
    local inner = run
    run = function(req) return inner(req, {}) end
  end
  return with_owners(run, early)
end

return dependency
