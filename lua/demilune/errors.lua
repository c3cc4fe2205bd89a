-- SPDX-License-Identifier: MIT
-- Errors at load. Each is one string, "app.lua:40: what was wrong; what to write
-- instead", and the place is the app's own line, however deep inside these
-- modules the mistake was noticed.

local getinfo = debug.getinfo

-- Every chunk of this layer begins with the same name; the app's begin otherwise.
local own = getinfo(1, "S").source:match("^(.*)errors")

local errors = {}

---Where the app called into this layer: "app.lua:40".
---@return string place
function errors.where()
  for level = 2, 250 do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.currentline > 0 and info.source:sub(1, #own) ~= own then
      return info.source:gsub("^[@=]", "") .. ":" .. info.currentline
    end
  end
  return "app.lua"
end

---Whether a file of the app's is being run for the first time, as by a require in a handler.
---@return boolean
function errors.in_file()
  for level = 2, 250 do
    local info = getinfo(level, "S")
    if not info then return false end
    if info.what == "main" and info.source:sub(1, 1) == "@" then return true end
  end
  return false
end

---Raises a load error at a place.
---@param place string what errors.where gave
---@param message string the sentence, or a format for the values that follow
function errors.raise(place, message, ...)
  if select("#", ...) > 0 then message = message:format(...) end
  error(place .. ": " .. message, 0)
end

-- How many letters must change to make a into b (Levenshtein).
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

---The name most like the one that was written, when one is like it at all.
---@param name any
---@param names string[]
---@return string? nearest
function errors.nearest(name, names)
  name = tostring(name)
  local best, nearest = math.ceil(#name / 3) + 1, nil
  for _, candidate in ipairs(names) do
    local steps = distance(name:lower(), candidate:lower())
    if steps < best and steps < #name then best, nearest = steps, candidate end
  end
  return nearest
end

---A value as a message shows it: short, on one line, strings in quotes.
---@param value any
---@return string
function errors.show(value)
  if type(value) == "string" then
    return #value > 40 and ("%q..."):format(value:sub(1, 40)) or ("%q"):format(value)
  end
  return type(value) == "table" and "a table" or type(value) == "function" and "a function" or tostring(value)
end

return errors
