-- SPDX-License-Identifier: MIT
-- Settings: named values from the environment, typed by models and checked before
-- anything starts. All that is missing or wrong is said at once. In dev, check
-- and test the folder's .env is read too, and missing secrets are made up.

local context = require "demilune.context"
local core = require "demilune.core"
local errors = require "demilune.errors"
local field = require "demilune.field"
local files = require "demilune.files"
local model = require "demilune.model"

local settings = {}

-- What to write for a kind, when somebody did not know.
local EXAMPLES = {
  string = "some text", integer = "10", int64 = "10", number = "1.5", decimal = "12.50", boolean = "true", email = "ada@example.com",
  url = "https://example.com", uuid = "123e4567-e89b-12d3-a456-426614174000", date = "2030-01-31", time = "10:00:00",
  datetime = "2030-01-31T10:00:00Z", duration = "PT15M", ipv4 = "192.0.2.1", ipv6 = "2001:db8::1", cidr = "192.0.2.0/24", array = "one,two",
}

-- What stands between quotes, and what behind the closing one; nil where there is none.
local function read_quoted(quote, text)
  local plain = quote == '"' and text:gsub("\\.", "..") or text -- as long, without what a backslash is before
  local closing = plain:find(quote, 1, true)
  if closing then return text:sub(1, closing - 1), text:sub(closing + 1) end
end

-- What a line of a .env file says: a name and its value, or what is wrong with it, without a piece of it, which may be a secret.
local function read_line(line)
  local name, value = line:gsub("^%s*export%s+", ""):match("^%s*([%a_][%w_]*)%s*=(.*)$")
  if not name then return nil, "this line is not understood; write NAME=value, the name of letters, digits and _" end
  local quote, text = value:match("^%s*(['\"])(.*)$")
  if not quote then return name, value:gsub("%s+#.*$", ""):match("^%s*(.-)%s*$") end
  local inner, behind = read_quoted(quote, text)
  if not inner then
    return nil, ("the value of %s has no closing %s; a value is on one line, in which \"\\n\" is a new one"):format(name, quote)
  elseif not behind:find("^%s*$") and not behind:find("^%s*#") then
    return nil, ("the value of %s goes on behind its closing %s; put all of it between two, and a comment behind a #"):format(name, quote)
  end
  return name, quote == '"' and inner:gsub("\\(.)", function(letter) return letter == "n" and "\n" or letter end) or inner
end

---NAME=value lines; # begins a comment; quotes keep blanks, and double ones know \n.
---@param text string
---@return table<string, string>
function settings.read_env(text)
  local values, number = {}, 0
  text = text:gsub("^\239\187\191", "") -- the byte order mark that some editors begin with
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    if line:match("^%s*[^%s#]") then
      local name, value = read_line(line)
      if not name then errors.raise(".env:" .. number, "%s", value) end
      values[name] = value
    end
  end
  return values
end

-- An unreadable one is none that was forgotten.
local function env_file()
  local text = files.read(".env")
  local problem = not text and files.problem(".env")
  if problem then errors.raise(".env", "this file cannot be read (%s)", problem) end
  return text and settings.read_env(text) or {}
end

-- Nobody can sign with it by hand, and showing it would teach to copy secrets out of logs.
local UNKNOWN = "%s is not set; a secret made for this start takes its place, which nobody is shown: "
  .. "to know it, write %s= and what `demilune secret` prints into the folder's .env"

---What a folder's .env gives to a name, for commands that load no app.
---@param folder string
---@param name string
---@return string?
function settings.in_env_file(folder, name)
  context.folder = folder
  return env_file()[name]
end

-- With a seed it is the same after a reload, so that what was signed stays good.
local function throw_away_secret(name, bytes)
  local parts = {}
  while context.seed and #parts * 64 < math.max(bytes or 0, 32) do
    parts[#parts + 1] = core.sha256_hex(("%s %s %d"):format(context.seed, name, #parts))
  end
  if parts[1] then return table.concat(parts) end
  local source = assert(io.open("/dev/urandom", "rb"))
  local random = source:read(math.max(bytes or 0, 32))
  source:close()
  return (random:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- An environment has no arrays: "one,two" is how people write them there.
local function as_sent(desc, text)
  if field.resolve(desc).kind ~= "array" then return text end
  local items = {}
  for item in text:gmatch("[^,]+") do items[#items + 1] = item:match("^%s*(.-)%s*$") end
  return setmetatable(items, core.array_type)
end

local function is_needed(desc)
  if desc.optional or desc.default ~= nil or desc.default_factory then return false end
  return desc.kind ~= "ref" or is_needed(desc.get())
end

-- What to say in production of a value that lies in the folder all the same.
local function unread(name)
  if context.is_relaxed() then return "" end
  local ok, values = pcall(env_file)
  if not ok then return " (the folder's .env, which is read by dev, check and test only, is not understood either)" end
  return values[name] ~= nil and " (the folder's .env, which has it, is read by dev, check and test only)" or ""
end

-- A secret that is empty is none: NAME= is how a line waits to be filled in, and everybody could sign by it.
local function set(desc, text)
  if text ~= "" or field.resolve(desc).kind ~= "secret" then return text end
end

-- What stands in the environment, the .env file, or nowhere but must.
local function gather(fields)
  local from_file, values = context.is_relaxed() and env_file() or {}, {}
  for _, entry in ipairs(fields) do
    local name, desc = entry.name, entry.schema
    local target = field.resolve(desc)
    local text = set(desc, os.getenv(name)) or set(desc, from_file[name])
    if text == nil and target.kind == "secret" and is_needed(desc) and context.is_relaxed() then
      text = throw_away_secret(name, target.min_bytes)
      if context.mode == "dev" then core.log("warning", UNKNOWN:format(name, name)) end
    end
    if text ~= nil then values[name] = as_sent(desc, text) end
  end
  return values
end

local function what_to_write(name, desc)
  local target = field.resolve(desc)
  if target.kind == "secret" then
    return ("set %s to a secret of at least %d bytes, such as what `demilune secret` prints"):format(name, target.min_bytes or 16)
  elseif target.kind == "literal" then
    return ("write %s=%s"):format(name, tostring(target.values[1]))
  end
  return ("write %s=%s"):format(name, EXAMPLES[target.kind] or "...")
end

local function refuse(place, fields, problems)
  local by_name, lines = {}, {}
  for _, problem in ipairs(problems) do
    local name = tostring(problem.loc[1] == "environment" and problem.loc[2] or problem.loc[1])
    by_name[name] = by_name[name] or problem
  end
  for _, entry in ipairs(fields) do
    local problem = by_name[entry.name]
    if problem then
      local said = problem.msg
      if problem.type == "missing" then said = os.getenv(entry.name) == "" and "is empty" or "is not set" .. unread(entry.name) end
      lines[#lines + 1] = ("  %s %s; %s"):format(entry.name, said, what_to_write(entry.name, entry.schema))
    end
  end
  errors.raise(place, "%s in the environment:\n%s", #lines == 1 and "a setting is missing or wrong" or "settings are missing or wrong",
    table.concat(lines, "\n"))
end

-- Asking for a setting that was not declared is a mistake, not a missing value.
local function guarded(values, fields)
  local names, known = {}, {}
  for index, entry in ipairs(fields) do
    names[index], known[entry.name] = entry.name, true
  end
  return setmetatable(values, {
    __index = function(_, name)
      if known[name] then return nil end
      local nearest = errors.nearest(name, names)
      errors.raise(errors.where(), "there is no setting %s; %s", tostring(name),
        nearest and ("did you mean %s?"):format(nearest) or "declare it in demilune.settings { ... }")
    end,
  })
end

-- Names that nobody gives to what others may read.
local SECRET_NAMES = { "SECRET$", "SECRET_KEY$", "PASSWORD$", "PASSWD$", "PRIVATE_KEY$" }

local function note_open_secrets(place, fields)
  for _, entry in ipairs(fields) do
    for _, pattern in ipairs(field.resolve(entry.schema).kind == "string" and SECRET_NAMES or {}) do
      if entry.name:upper():find(pattern) then
        context.note("warning", place, ("demilune.settings: %s is a string, which logs and answers show as it is"):format(entry.name),
          ("write %s = model.secret()"):format(entry.name))
      end
    end
  end
end

---Reads settings from the environment.
---@param given table<string, demilune.Field>
---@return table<string, any>
function settings.new(given)
  local place = errors.where()
  if type(given) ~= "table" then errors.raise(place, "demilune.settings takes a table; write demilune.settings { PORT = model.integer() }") end
  for name, value in pairs(given) do
    if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
      errors.raise(place, "demilune.settings: %s is no name of an environment variable", errors.show(name))
    elseif not field.is(value) then
      errors.raise(place, "demilune.settings: %s must be a field, not %s; write %s = model.string()", name, errors.show(value), name)
    end
  end
  local declared = model.object(given, { extra = "ignore" })
  note_open_secrets(place, declared.fields)
  local schema = core.schema_compile(declared)
  local values, problems = schema:validate(gather(declared.fields), { mode = "text", source = "environment" })
  if values == nil then refuse(place, declared.fields, problems.detail or problems) end
  return guarded(values, declared.fields)
end

return settings
