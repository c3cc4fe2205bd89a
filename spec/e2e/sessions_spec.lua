-- SPDX-License-Identifier: MIT
-- Sessions in a database.

local server = require "spec.support.server"

local SECRET = "7f2c9b61e0d4835aa1c6f09e42b87d53"

describe("sessions in a database", function()
  local STORED = [[
local demilune = require "demilune"
local guard = demilune.guard
local settings = demilune.settings { SECRET = demilune.model.secret() }
local app = demilune.app { guard = guard.public }
local db = app:database "sqlite:sessions.db"
local session = guard.session { secret = settings.SECRET, lifetime = "1h", database = db }
local add_expired = db:statement [=[
  INSERT INTO sessions (digest, subject, expires)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) SELECT 'expired ' || i, 'eve', i FROM n]=]
local count_expired = db:statement "SELECT count(*) FROM sessions WHERE subject = 'eve'"
app:on_start(function() add_expired:run() end)
app:get("/expired", function() return count_expired:value() end)
app:get("/me", { guard = session }, function(req) return req.principal.subject end)
app:post("/login", { limit = "10000/minute" }, function()
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = session:issue { subject = "ada" } } }
end)
app:post("/together/{how}", { limit = "10000/minute" }, function(req)
  local cookie
  pcall(function()
    db:transaction(function()
      cookie = session:issue { subject = "ada" }
      if req.path.how == "fails" then error "and all of it is undone" end
    end)
  end)
  return demilune.response { status = 204, headers = { ["Set-Cookie"] = cookie } }
end)
return app
]]

  it("are there when the transaction is in which they were issued", function()
    local app = server.write_app { ["app.lua"] = STORED }
    assert.equal(0, (server.run { "migration", "sessions", app }))
    local running = server.start(app, { env = { SECRET = SECRET } })
    local function status(how)
      local cookie = running:request("POST", "/together/" .. how).headers["set-cookie"]:match "^[^;]+"
      return running:request("GET", "/me", { headers = { Cookie = cookie } }).status
    end
    assert.same({ 200, 401 }, { status "holds", status "fails" })
    local ended, log = running:stop()
    assert.equal(0, ended, log)
    server.remove_folder(app)
  end)

  it("are forgotten few at a time, so that no login waits until many are", function()
    local data = server.make_folder()
    local app = server.write_app { ["app.lua"] = STORED }
    assert.equal(0, (server.run { "migration", "sessions", app }))
    local running = server.start(app, { env = { SECRET = SECRET }, data = data })
    for _, left in ipairs { 150, 50, 0 } do
      local reply = running:request("POST", "/login")
      assert.equal(204, reply.status)
      assert.equal(tostring(left), running:request("GET", "/expired").body)
      assert.equal("ada", running:request("GET", "/me", { headers = { Cookie = reply.headers["set-cookie"]:match "^[^;]+" } }).body)
    end
    local status, log = running:stop()
    assert.equal(0, status, log)
    server.remove_folder(data)
    server.remove_folder(app)
  end)
end)
