-- SPDX-License-Identifier: MIT
-- Reads Prometheus' text exposition format (0.0.4), strictly: what Prometheus would refuse, or its conventions frown on, is an error here.

local prometheus = {}

---@class prometheus.Page
---@field families table<string, string> type by name
---@field samples { name: string, labels: table<string, string>, value: number, key: string }[]
local Page = {}
Page.__index = Page

local SUFFIXES = { histogram = { _bucket = true, _sum = true, _count = true }, counter = { [""] = true }, gauge = { [""] = true } }
local ESCAPES = { ["\\"] = "\\", ['"'] = '"', n = "\n" }

local function valid_utf8(text)
  local rest = text:gsub("[%z\1-\127]", ""):gsub("[\194-\223][\128-\191]", ""):gsub("[\224-\239][\128-\191][\128-\191]", "")
    :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "")
  return rest == ""
end

-- The labels of `{a="b",c="d"}` and what stands behind them.
local function read_labels(text)
  local labels, keys = {}, {}
  if text:sub(1, 1) ~= "{" then return labels, "", text end
  local at = 2
  while true do
    local name, value_at = text:match('^([%a_][%w_]*)="()', at)
    assert(name, "no label in: " .. text:sub(at))
    assert(labels[name] == nil, "twice the label " .. name)
    local value, i = {}, value_at
    while true do
      local c = text:sub(i, i)
      assert(c ~= "" and c ~= "\n", "an open label value in: " .. text)
      if c == '"' then break end
      if c == "\\" then
        i = i + 1
        c = assert(ESCAPES[text:sub(i, i)], "an unknown escape in: " .. text)
      end
      value[#value + 1], i = c, i + 1
    end
    labels[name] = table.concat(value)
    assert(valid_utf8(labels[name]), "no UTF-8 in: " .. text)
    keys[#keys + 1] = name .. "=" .. labels[name]
    local separator = text:sub(i + 1, i + 1)
    at = i + 2
    if separator == "}" then break end
    assert(separator == ",", "neither comma nor brace in: " .. text)
  end
  table.sort(keys)
  return labels, table.concat(keys, ","), text:sub(at)
end

local function read_sample(page, family, kind, line, seen)
  local name, rest = line:match("^([%a_:][%w_:]*)(.*)$")
  assert(name, "no sample: " .. line)
  local suffix = name:sub(1, #family) == family and name:sub(#family + 1)
  assert(suffix and SUFFIXES[kind][suffix], name .. " stands among the samples of " .. family)
  local labels, key, value = read_labels(rest)
  value = value:match("^ (%S+)$")
  assert(value and (tonumber(value) or value == "+Inf"), "no value: " .. line)
  assert(kind == "gauge" or tonumber(value) >= 0, "below zero: " .. line)
  key = name .. "{" .. key .. "}"
  assert(not seen[key], "twice: " .. key)
  seen[key] = true
  page.samples[#page.samples + 1] = { name = name, labels = labels, value = tonumber(value), key = key }
end

-- Buckets of one histogram follow each other, grow, and end in +Inf with the count.
local function check_histograms(page)
  local last_bound, last_count
  for _, sample in ipairs(page.samples) do
    if sample.name:find("_bucket$") then
      local bound = sample.labels.le == "+Inf" and math.huge or assert(tonumber(sample.labels.le), "no le: " .. sample.key)
      if not last_bound or last_bound == math.huge then last_bound, last_count = -1, 0 end
      assert(bound > last_bound, "buckets out of order: " .. sample.key)
      assert(sample.value >= last_count, "a bucket below the one before: " .. sample.key)
      last_bound, last_count = bound, sample.value
    elseif last_bound and sample.name:find("_count$") then
      assert(last_bound == math.huge and last_count == sample.value, "+Inf is not the count: " .. sample.key)
    end
  end
end

--- Reads a page; raises for anything that is not in order.
---@return prometheus.Page
function prometheus.read(text)
  local page = setmetatable({ families = {}, samples = {} }, Page)
  local family, kind, helped
  local seen = {}
  assert(text:sub(-1) == "\n", "the last line does not end")
  for line in text:gmatch("([^\n]*)\n") do
    local help = line:match("^# HELP ([%a_:][%w_:]*) %S")
    local typed, what = line:match("^# TYPE ([%a_:][%w_:]*) (%a+)$")
    if help then
      assert(not page.families[help], "twice the family " .. help)
      helped = help
    elseif typed then
      assert(typed == helped, "a type without its help: " .. typed)
      assert(SUFFIXES[what], "an unknown type: " .. what)
      assert((what == "counter") == (typed:find("_total$") ~= nil), "only counters end in _total, and all do: " .. typed)
      family, kind = typed, what
      page.families[typed] = what
    else
      assert(line:sub(1, 1) ~= "#" and family, "a line of no kind: " .. line)
      read_sample(page, family, kind, line, seen)
    end
  end
  check_histograms(page)
  return page
end

--- The sum of the samples of that name that have these labels among theirs. A name that the page does not know is an error: its sum would be 0.
---@param labels? table<string, string>
function Page:sum(name, labels)
  assert(self.families[name] or self.families[name:match("^(.*)_%a+$")] == "histogram", "there is no " .. name)
  local sum = 0
  for _, sample in ipairs(self.samples) do
    local fits = sample.name == name
    for label, value in pairs(labels or {}) do fits = fits and sample.labels[label] == value end
    if fits then sum = sum + sample.value end
  end
  return sum
end

--- The values that a label has in the samples of that name, sorted.
function Page:label_values(name, label)
  local values, seen = {}, {}
  for _, sample in ipairs(self.samples) do
    local value = sample.name == name and sample.labels[label]
    if value and not seen[value] then
      values[#values + 1], seen[value] = value, true
    end
  end
  table.sort(values)
  return values
end

return prometheus
