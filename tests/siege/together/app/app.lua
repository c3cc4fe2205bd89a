-- SPDX-License-Identifier: MIT
-- What is besieged by everything at once: rows to write and read, a door with a guard, limits, something big, and the routes that the cases
-- of tests/attack/framing ask for. Short deadlines, so that who dawdles is thrown out within a short siege too.
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard

local settings = demilune.settings { JWT_SECRET = model.secret { min_bytes = 32 } }

local app = demilune.app {
  title = "Siege", version = "1", guard = guard.public, docs = true,
  limits = { max_body = 100000, header_timeout = "4s", body_timeout = "4s", max_connections_per_client = 256 },
}

local db = app:database "sqlite:siege.db"
local add = db:statement [[INSERT INTO rows (id) VALUES (:id) RETURNING id]]
local find = db:statement [[SELECT id FROM rows WHERE id = :id]]
local page = db:statement [[SELECT id FROM rows WHERE id > :after ORDER BY id LIMIT 1000]]

local Row = model "Row" { id = model.string { min_length = 1, max_length = 40 } }
local often = "1000000/minute" -- counted in Redis for each request, and never reached

app:post("/rows", { body = Row, returns = Row, status = 201, limit = often }, function(req) return add:one(req.body) end)
app:get("/rows/{id}", { returns = Row, limit = often }, function(req)
  return find:one { id = req.path.id } or demilune.abort(404, "There is no such row")
end)
app:get("/rows", { query = { after = model.string { default = "" } }, returns = model.array(Row) }, function(req)
  return page:many { after = req.query.after }
end)

local bearer = guard.bearer { secret = settings.JWT_SECRET, lifetime = "15m" }
app:get("/door", { guard = bearer }, function(req) return req.principal.subject end)

app:get("/limited", { limit = "5/day" }, function() return "admitted" end)

local big = ("big "):rep(65536)
app:get("/big", function() return big end)

app:get("/stream", function()
  return demilune.stream(function(write)
    for _ = 1, 20 do
      write(big:sub(1, 4000))
      demilune.sleep "1ms"
    end
  end, { headers = { ["Content-Type"] = "text/plain" } })
end)

local shared = demilune.router { cors = { origins = { "https://front.example" } } }
shared:get("/shared", function() return "shared" end)
app:mount(shared)

-- What tests/attack/framing/cases.lua takes for granted. Nobody may ever reach /smuggled: the requests for it are hidden in others.
local function same(req)
  return { id = req:get_header("X-Id") or demilune.null, user = req:get_header("X-User") or demilune.null, length = #(req.body or "") }
end
app:get("/", same)
app:post("/echo", same)
app:route({ "GET", "POST" }, "/smuggled", same)

return app
