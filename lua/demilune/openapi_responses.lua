-- SPDX-License-Identifier: MIT
-- The responses of an operation in the OpenAPI document: what the route returns,
-- what it says of others, and what the server itself may answer on every route.
-- The 422 body has FastAPI's names and shape, so that clients made for it work.

local ordered = require "demilune.ordered"

local openapi_responses = {}

local REASONS = {
  [200] = "OK", [201] = "Created", [202] = "Accepted", [204] = "No content", [301] = "Moved permanently", [302] = "Found", [303] = "See other",
  [304] = "Not modified", [307] = "Temporary redirect", [308] = "Permanent redirect", [400] = "Bad request", [401] = "Not authenticated",
  [403] = "Not allowed", [404] = "Not found", [409] = "Conflict", [410] = "Gone", [412] = "Precondition failed", [413] = "Body too large",
  [415] = "Unsupported media type", [422] = "Validation error", [429] = "Too many requests", [503] = "Not available",
}

---@class demilune.openapi.traits what the server may answer by itself
---@field validated boolean
---@field guarded boolean
---@field limited boolean
---@field idempotent boolean

-- Component names that an app's models do not get.
openapi_responses.reserved = { "HTTPValidationError", "ValidationError", "ClientError", "ServerError" }

local function typed(type_name)
  return ordered.object():set("type", type_name)
end

local function component(kind, name)
  return ordered.object():set("$ref", "#/components/" .. kind .. "/" .. name)
end

local function response(description, schema, media_type)
  local content
  if schema or media_type then content = ordered.object():set(media_type or "application/json", ordered.object():set("schema", schema)) end
  return ordered.object():set("description", description):set("content", content)
end

-- What a route says of another response: its description, what it returns, its content_type.
local function other_response(schemas, status, said)
  local schema = said.returns and schemas:schema(said.returns, "output")
  if not schema and not said.content_type and status >= 400 then schema = component("schemas", status < 500 and "ClientError" or "ServerError") end
  return response(said.description or REASONS[status] or "Status " .. status, schema, said.content_type)
end

-- What a route gives when all went well, in its own words where it has some.
local function own_response(schemas, route)
  local said = (route.responses or {})[route.status] or {}
  local returns = said.returns or route.returns
  return response(said.description or REASONS[route.status] or "Success", returns and schemas:schema(returns, "output"), said.content_type)
end

-- By status, then what stands for all other refusals and failures.
---@param schemas demilune.json_schema.collection
---@param route table a description of the plan
---@param traits demilune.openapi.traits
---@return demilune.ordered.object
function openapi_responses.of(schemas, route, traits)
  local by_status, order, out = {}, {}, ordered.object()
  if traits.validated then by_status[422] = component("responses", "ValidationError") end
  if traits.guarded then
    by_status[401] = component("responses", "NotAuthenticated")
    by_status[403] = component("responses", "NotAllowed")
  end
  if traits.limited then by_status[429] = component("responses", "TooManyRequests") end
  if traits.idempotent then
    by_status[400] = component("responses", "IdempotencyKeyMissing")
    by_status[409] = component("responses", "IdempotencyKeyInUse")
  end
  for status, said in pairs(route.responses or {}) do by_status[status] = other_response(schemas, status, said) end
  by_status[route.status] = own_response(schemas, route)
  for status in pairs(by_status) do order[#order + 1] = status end
  table.sort(order)
  for _, status in ipairs(order) do out:set(tostring(status), by_status[status]) end
  return out:set("4XX", component("responses", "ClientError")):set("5XX", component("responses", "ServerError"))
end

local function add_validation_schemas(out)
  local place = ordered.object():set("anyOf", ordered.list { typed "string", typed "integer" })
  local properties = ordered.object()
    :set("loc", typed("array"):set("items", place):set("description", "Where: the source, then names and indexes"))
    :set("msg", typed("string"):set("description", "What is wrong, as a sentence"))
    :set("type", typed("string"):set("description", "What is wrong, as a name"))
    :set("ctx", typed("object"):set("description", "The figures of the rule that was broken"))
    :set("input", ordered.object():set("description", "What was sent; shown by a development server only"))
  local list = typed("array"):set("items", component("schemas", "ValidationError"))
  out:set("HTTPValidationError", typed("object"):set("properties", ordered.object():set("detail", list)):set("required", ordered.list { "detail" }))
  out:set("ValidationError", typed("object"):set("properties", properties):set("required", ordered.list { "loc", "msg", "type" }))
end

-- The schemas that the shared responses lead to.
---@param out demilune.ordered.object
---@param traits { validated: boolean }
function openapi_responses.add_schemas(out, traits)
  if traits.validated then add_validation_schemas(out) end
  local detail = ordered.object():set("description", "What is wrong: a sentence, or what the route says")
  local request_id = typed("string"):set("description", "Names the request in the server's log")
  local required = ordered.list { "detail" }
  out:set("ClientError", typed("object"):set("properties", ordered.object():set("detail", detail)):set("required", required))
  out:set("ServerError", typed("object")
    :set("properties", ordered.object():set("detail", typed "string"):set("request_id", request_id)):set("required", required))
end

-- The responses that operations share.
---@param traits demilune.openapi.traits
---@return demilune.ordered.object
function openapi_responses.shared(traits)
  local out, client_error = ordered.object(), component("schemas", "ClientError")
  if traits.validated then out:set("ValidationError", response(REASONS[422], component("schemas", "HTTPValidationError"))) end
  if traits.guarded then
    out:set("NotAuthenticated", response(REASONS[401], client_error)):set("NotAllowed", response(REASONS[403], client_error))
  end
  if traits.limited then
    local seconds = ordered.object():set("description", "Seconds until the same request would pass"):set("required", true)
      :set("schema", typed "integer")
    out:set("TooManyRequests", response(REASONS[429], client_error):set("headers", ordered.object():set("Retry-After", seconds)))
  end
  if traits.idempotent then
    out:set("IdempotencyKeyMissing", response("The Idempotency-Key is missing or malformed", client_error))
    local seconds = ordered.object():set("description", "Seconds until the answer may be there; absent when it will never be")
      :set("schema", typed "integer")
    out:set("IdempotencyKeyInUse", response("The first request with this Idempotency-Key has no answer", client_error)
      :set("headers", ordered.object():set("Retry-After", seconds)))
  end
  return out:set("ClientError", response("The request was refused", client_error))
    :set("ServerError", response("The server failed", component("schemas", "ServerError")))
end

return openapi_responses
