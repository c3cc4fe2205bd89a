-- SPDX-License-Identifier: MIT
-- API5:2023 broken function level authorization.

local owasp = require "tests.attack.support.owasp"
local server = require "spec.support.server"

local APP = owasp.HEAD .. [[
local app = demilune.app { title = "admin", version = "1", guard = bearer }
local admin = demilune.router { prefix = "/admin", guard = guard.role("admin", bearer) }
admin:get("/users", function() return "all of them" end)
admin:delete("/users", { status = 204 }, function() end)
app:mount(admin)
app:get("/me", function(req) return req.principal.subject end)
app:get("/", { guard = guard.public }, function() return "hello" end)
return app]]

owasp.wall("functions are closed unless opened:", APP, function(world)
  it("to who has no role, by every method and spelling", function()
    local eve = owasp.as("eve", "user")
    for _, method in ipairs { "GET", "HEAD", "DELETE" } do
      assert.equal(403, world.running:request(method, "/admin/users", { headers = eve }).status, method)
    end
    for _, method in ipairs { "POST", "PUT", "PATCH" } do assert.equal(405, world:ask(method, "/admin/users", eve).status, method) end
    for status, paths in pairs { [404] = { "/Admin/users", "/admin/users/", "/admin/users;x", "/admin/users%20", "/admin/users.json" },
      [400] = { "/admin//users", "/admin/./users", "/me/../admin/users", "/admin/%75sers/..", "/admin/users%00", "/admin/users%2f", "//admin/users",
        "/admin%2fusers", "/admin\\users" } } do
      for _, path in ipairs(paths) do
        for _, who in ipairs { eve, owasp.as("root", "admin") } do assert.equal(status, world:ask("GET", path, who).status, path) end
      end
    end
    assert.equal(403, world:ask("GET", "/admin/%75sers", eve).status) -- the same path
  end)

  it("whatever a header says about the method or the path", function()
    for name, value in pairs { ["X-HTTP-Method-Override"] = "DELETE", ["X-Original-URL"] = "/admin/users", ["X-Rewrite-URL"] = "/admin/users",
      ["X-Forwarded-Prefix"] = "/admin", ["X-User"] = "root", ["X-Role"] = "admin", ["X-Forwarded-User"] = "root" } do
      local headers = owasp.as("eve", "user")
      headers[name] = value
      assert.equal("eve", world:ask("GET", "/me", headers).body, name)
      assert.equal(403, world:ask("GET", "/admin/users", headers).status, name)
    end
  end)

  it("and open to who has it", function() assert.equal(200, world:ask("GET", "/admin/users", owasp.as("root", "admin")).status) end)
end)

describe("a route that names no guard", function()
  it("does not load", function()
    local why = owasp.refusal(owasp.HEAD
      .. 'local app = demilune.app { title = "x", version = "1" }\napp:get("/", function() return 1 end)\nreturn app')
    assert.truthy(why and why:find("has no guard", 1, true), why)
  end)
end)

describe("client:matrix", function()
  local OF = APP:gsub("return app$", [[
local user = app:dependency({ principal = bearer }, function() return { role = "user" } end)
app:post("/rows", { guard = guard.role("admin", bearer, { of = user }) }, function() return 1 end)
return app]])
  local KEYED = [[
local demilune = require "demilune"
local guard, settings = demilune.guard, require "keys"
local app = demilune.app {}
local keys = { service = settings.KEY }
app:get("/keyed", { guard = guard.api_key { keys = keys } }, function(req) return req.principal.name end)
app:get("/cookied", { guard = guard.api_key { keys = keys, cookie = "__Host-key" } }, function(req) return req.principal.name end)
return app]]
  local function run(spec, app, files)
    local written = { ["app.lua"] = app or APP, ["spec/matrix_spec.lua"] = [[
      local client = require("demilune.test").client()
      local tokens = require "tests.attack.support.tokens"
      local function as(roles) return { Authorization = "Bearer " .. tokens.make('{"alg":"HS256"}', tokens.claims('"roles":' .. roles)) } end
      it("matrix", function() ]] .. spec .. " end)" }
    for name, text in pairs(files or {}) do written[name] = text end
    local folder = server.write_app(written)
    local status, out, err = server.run({ "test", folder }, { env = { JWT_SECRET = require("tests.attack.support.tokens").SECRET } })
    server.remove_folder(folder)
    return status, out .. err
  end
  local PRINCIPALS = [[ local principals = { nobody = {}, ada = { headers = as '["user"]', roles = { "user" } },
    root = { headers = as '["admin"]', roles = { "admin" } }, key = { headers = { ["X-API-Key"] = "x" }, guard = "api_key" } } ]]

  it("tells who may call what, and runs no handler", function()
    local status, words = run(PRINCIPALS .. [[
      local found = client:matrix { principals = principals, public = { "GET /" } }
      assert.same({ nobody = 401, ada = 403, root = true, key = 401 }, found["DELETE /admin/users"])
      assert.same({ nobody = 401, ada = true, root = true, key = 401 }, found["GET /me"])
      assert.same({ nobody = true, ada = true, root = true, key = true }, found["GET /"]) ]])
    assert.equal(0, status, words)
  end)

  it("finds somebody who is let in and should not be", function()
    local status, words = run(PRINCIPALS .. [[ principals.root.roles = { "user" }
      client:matrix { principals = principals } ]])
    assert.equal(1, status, words)
    assert.truthy(words:find("DELETE /admin/users (app.lua:8) lets in root, and as declared it answers 403", 1, true), words)
  end)

  it("finds somebody who is kept out, and a route that is open unsaid", function()
    local status, words = run(PRINCIPALS .. [[ principals.nobody.guard = "bearer"
      client:matrix { principals = principals, public = { "GET /gone" } } ]])
    assert.equal(1, status, words)
    assert.truthy(words:find("GET /me (app.lua:10) answers 401 to nobody", 1, true), words)
    assert.truthy(words:find("GET / lets in everybody, and public does not name it", 1, true), words)
    assert.truthy(words:find("GET /gone is named as public, and there is no such route", 1, true), words)
  end)

  it("takes a user's roles of now for what the server asks behind the body's size", function()
    local status, words = run(PRINCIPALS .. [[ local found = client:matrix { principals = principals }
      assert.same({ nobody = 401, ada = true, root = true, key = 401 }, found["POST /rows"])
      assert.equal(403, client:post("/rows", { headers = principals.ada.headers }).status) ]], OF)
    assert.equal(0, status, words)
  end)

  it("and any request may come with a key of the settings, whatever it is", function()
    local status, words = run([[ local settings = require "keys"
      local key = { headers = { ["X-API-Key"] = settings.KEY } }
      local cookie = { cookies = { ["__Host-key"] = settings.KEY } }
      assert.same({ 200, 200, 401 }, { client:get("/keyed", key).status, client:get("/cookied", cookie).status, client:get("/keyed").status })
      client:matrix { principals = { service = { headers = key.headers, cookies = cookie.cookies, guard = "api_key" } } } ]], KEYED,
      { ["keys.lua"] = 'local demilune = require "demilune"\nreturn demilune.settings { KEY = demilune.model.secret { min_bytes = 32 } }' })
    assert.equal(0, status, words)
  end)

  it("says what it was not given", function()
    for spec, said in pairs { ["client:matrix {}"] = "matrix takes principals",
      ["client:matrix { principals = { a = { role = 1 } } }"] = 'no option "role"',
      ["client:matrix { principals = { a = { headers = { ['X-Key'] = '1' } } } }"] = "which guard knows the principal a" } do
      local status, words = run(spec)
      assert.equal(1, status, words)
      assert.truthy(words:find(said, 1, true), words)
    end
  end)
end)
