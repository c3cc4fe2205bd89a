-- SPDX-License-Identifier: MIT
-- What a handler may answer besides a plain value: a response with its own
-- status and header fields, a stream, or an abort, which ends the handler there.

local core = require "demilune.core"

local response = {}

---@class demilune.ResponseOptions
---@field status? integer
---@field headers? table<string, string|string[]>
---@field body? any a string as it is, anything else as JSON
---@field stream? fun(write: fun(chunk: string))

local OPTIONS = { status = "number", headers = "table", body = "any", stream = "function" }

local function check_status(status, lowest, what)
  if type(status) ~= "number" or status % 1 ~= 0 or status < lowest or status > 599 then
    error(("%s: status must be a number from %d to 599, not %s"):format(what, lowest, tostring(status)), 3)
  end
end

---@param given demilune.ResponseOptions
---@return table response
function response.new(given)
  if type(given) ~= "table" then error("demilune.response takes a table; write demilune.response { status = 202, body = value }", 2) end
  for name, value in pairs(given) do
    local sort = OPTIONS[name]
    if not sort then error(("demilune.response has no field %s; it takes status, headers, body and stream"):format(tostring(name)), 2) end
    if sort ~= "any" and type(value) ~= sort then
      error(("demilune.response: %s must be a %s, not a %s"):format(name, sort, type(value)), 2)
    end
  end
  if given.status then check_status(given.status, 200, "demilune.response") end
  if given.stream and given.body ~= nil then error("demilune.response: a body beside a stream would not be sent; write one of the two", 2) end
  return setmetatable(given, core.response_type)
end

---A response whose body is written piece by piece.
---@param produce fun(write: fun(chunk: string)) calls write for each piece; write waits while the client reads
---@param given? demilune.ResponseOptions
---@return table response
function response.stream(produce, given)
  if type(produce) ~= "function" then error("demilune.stream takes a function; write demilune.stream(function(write) write(\"text\") end)", 2) end
  if given ~= nil and type(given) ~= "table" then
    error(("demilune.stream takes a table behind its function, such as { status = 200 }, not a %s"):format(type(given)), 2)
  end
  local made = { stream = produce }
  for name, value in pairs(given or {}) do made[name] = value end
  return response.new(made)
end

-- What is told of one where no handler is there to be ended: in a spawned function, or in a model's check.
function core.abort_type.__tostring(raised)
  local detail = type(raised.detail) == "string" and (", %q"):format(raised.detail) or raised.detail ~= nil and ", ..." or ""
  return ("demilune.abort(%s%s)"):format(tostring(raised.status), detail)
end

---Ends the handler with an error response: {"detail": detail}.
---@param status integer from 300 to 599
---@param detail? any a sentence or a table; without it, the status' own name
---@param headers? table<string, string>
function response.abort(status, detail, headers)
  check_status(status, 300, "demilune.abort")
  error(setmetatable({ status = status, detail = detail, headers = headers }, core.abort_type), 0)
end

return response
