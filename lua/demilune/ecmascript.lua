-- SPDX-License-Identifier: MIT
-- Patterns of PCRE2, which the core matches, as ECMAScript's with its flag u, which
-- JSON Schema asks for: the same texts match, or there is none. Called by
-- json_schema.lua alone.

local ecmascript = {}

-- What both read as the same behind a backslash, in a class and outside.
local SAME = {}
for letter in ("dDwWnrtf"):gmatch "." do SAME[letter] = true end
local SYNTAX = {}
for sign in ("^$\\.*+?()[]{}|/"):gmatch "." do SYNTAX[sign] = true end

-- PCRE2's are of ASCII; ECMAScript knows more spaces, and more ends of lines.
local SPACES, ANY = "\\t-\\r ", "[^\\n]"
-- Every character, however one counts spaces.
local EVERYTHING = { ["[\\s\\S]"] = true, ["[\\S\\s]"] = true, ["[\\d\\D]"] = true, ["[\\w\\W]"] = true }

local CATEGORIES = {}
for name in ("L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp"):gmatch "%S+" do CATEGORIES[name] = true end

-- Groups that both read alike, and which of them take no room, so that ECMAScript repeats none of them.
local GROUPS = { "^%?:", "^%?<%a%w*>" }
local ASSERTIONS = { "^%?=", "^%?!", "^%?<=", "^%?<!" }

-- An escape that stands for characters: what it becomes, and where it ends. kind is "class" for one that stands for several.
local function escape(pattern, at, inside)
  local letter = pattern:sub(at + 1, at + 1)
  if SAME[letter] then return "\\" .. letter, at + 2, letter:find "[dDwW]" and "class" or nil end
  if letter == "s" then return inside and SPACES or "[" .. SPACES .. "]", at + 2, "class" end
  if letter == "S" and not inside then return "[^" .. SPACES .. "]", at + 2, "class" end
  local code = pattern:match("^x(%x%x)", at + 1)
  if code then return "\\x" .. code, at + 4 end
  code = pattern:match("^x{(%x+)}", at + 1)
  if code then return "\\u{" .. code .. "}", at + 4 + #code end
  local property = pattern:match("^[pP]{(%a+)}", at + 1)
  if property and CATEGORIES[property] then return pattern:sub(at, at + 3 + #property), at + 4 + #property, "class" end
  if not letter:find "^%p$" then return nil end
  return (SYNTAX[letter] or (inside and letter == "-")) and "\\" .. letter or letter, at + 2
end

-- One character, or an escape, of a class.
local function class_item(pattern, at)
  local sign = pattern:sub(at, at)
  if sign == "" or pattern:find("^%[[:.=]", at) then return nil end
  if sign == "\\" then return escape(pattern, at, true) end
  if sign:find "[%[%]^-]" then return "\\" .. sign, at + 1 end
  local character = pattern:match("^[%z\1-\127\194-\244][\128-\191]*", at)
  return character, at + #character
end

-- "[...]", where a hyphen stands for a range only between two characters.
local function class(pattern, at)
  local whole = pattern:sub(at, at + 5)
  if EVERYTHING[whole] then return whole, at + 6 end
  local opening = pattern:match("^%[%^?", at)
  local out, first = { opening }, true
  at = at + #opening
  while first or pattern:sub(at, at) ~= "]" do
    local text, after, kind = class_item(pattern, at)
    if not text then return nil end
    out[#out + 1], at, first = text, after, false
    if not kind and pattern:find("^%-[^%]]", at) then
      local last, behind, last_kind = class_item(pattern, at + 1)
      if not last then return nil end
      out[#out + 1], at = (last_kind and "\\-" or "-") .. last, behind
    end
  end
  out[#out + 1] = "]"
  return table.concat(out), at + 1
end

local function quantifier(pattern, at)
  local text = pattern:match("^[*+?]", at) or pattern:match("^{%d+,?%d*}", at)
  if not text then return nil end
  local lazy = pattern:match("^%??", at + #text)
  local after = at + #text + #lazy
  if pattern:find("^[*+?]", after) or pattern:find("^{%d+,?%d*}", after) then return false end -- possessive, or twice
  return text .. lazy, after
end

local function group(pattern, at)
  for _, shape in ipairs(ASSERTIONS) do
    local text = pattern:match(shape, at + 1)
    if text then return "(" .. text, at + 1 + #text, true end
  end
  for _, shape in ipairs(GROUPS) do
    local text = pattern:match(shape, at + 1)
    if text then return "(" .. text, at + 1 + #text, false end
  end
  if pattern:find("^[?*]", at + 1) then return nil end
  return "(", at + 1, false
end

local ATOMS = {
  ["\\"] = function(pattern, at)
    local assertion = pattern:match("^\\[bB]", at)
    if assertion then return assertion, at + 2, true end
    local text, after = escape(pattern, at, false)
    return text, after, false
  end,
  ["["] = class,
  ["."] = function(_, at) return ANY, at + 1 end,
  ["^"] = function(_, at) return "^", at + 1, true end,
  ["$"] = function(_, at) return "$", at + 1, true end,
  ["{"] = function(_, at) return "\\{", at + 1 end,
  ["}"] = function(_, at) return "\\}", at + 1 end,
  ["]"] = function(_, at) return "\\]", at + 1 end,
}

-- What stands at a place: its text, where it ends, and whether it takes no room.
local function atom(pattern, at, open)
  local sign = pattern:sub(at, at)
  if ATOMS[sign] then return ATOMS[sign](pattern, at) end
  if sign == "(" then
    local text, after, is_assertion = group(pattern, at)
    open[#open + 1] = is_assertion
    return text, after, true -- nothing to repeat yet
  end
  if sign == ")" then return sign, at + 1, table.remove(open) end
  return sign, at + 1, sign == "|"
end

---The pattern that matches the same texts, or nil where it has what ECMAScript cannot say or reads otherwise.
---@param pattern string one that PCRE2 takes
---@return string?
function ecmascript.pattern(pattern)
  local out, at, open = {}, 1, {}
  while at <= #pattern do
    local text, after, is_assertion = atom(pattern, at, open)
    if not text then return nil end
    out[#out + 1], at = text, after
    local times, behind = quantifier(pattern, at)
    if times == false or times and is_assertion then return nil end
    if times then out[#out + 1], at = times, behind end
  end
  return table.concat(out)
end

return ecmascript
