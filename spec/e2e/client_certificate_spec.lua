-- SPDX-License-Identifier: MIT
-- guard.client_certificate over real connections: who is let in, as whom, and who is not.

local cjson = require "cjson"
local certificates = require "spec.support.certificates"
local http = require "spec.support.http"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local guard = demilune.guard
local app = demilune.app { title = "Machines", version = "1", docs = true }
local machine = guard.client_certificate { clients = { ["worker-7"] = { "admin" }, "worker-8" }, roles = { "machine" } }
local anybody = guard.client_certificate { subject = "uri" }
app:get("/open", { guard = guard.public }, function(req) return { who = req.principal and req.principal.subject } end)
app:get("/machine", { guard = machine }, function(req)
  local who = req.principal
  return { subject = who.subject, guard = who.guard, issuer = who.issuer, roles = who.roles, claims = who.claims }
end)
app:get("/admin", { guard = guard.role("admin", machine) }, function() return "admin" end)
app:post("/machine", { guard = machine }, function() return "done" end)
app:get("/uri", { guard = anybody, needs = { who = anybody } }, function(_, need) return { need.who.subject, need.who.claims.emails } end)
return app
]]

describe("guard.client_certificate", function()
  local files, running

  setup(function()
    files = certificates.new()
    files:make("authority", { authority = true, subject = "/CN=Machines/O=Example" })
    files:make("stranger", { authority = true, subject = "/CN=Machines/O=Example" }) -- of the same name, with another key
    files:make("worker-7", { issuer = "authority", names = "URI:spiffe://example/w7,email:w7@example.test" })
    files:make("worker-8", { issuer = "authority" })
    files:make("worker-9", { issuer = "authority" })
    files:make("forged", { issuer = "stranger", subject = "/CN=worker-7" })
    files:make("self", { subject = "/CN=worker-7" })
    local flags = files:make("server", { names = "DNS:localhost" })
    flags[#flags + 1] = "--tls-client-ca=" .. files:path("authority.pem")
    running = server.start(APP, { flags = flags })
  end)

  teardown(function()
    local status, log = running:stop()
    files:remove()
    assert.equal(0, status, log)
  end)

  local function ask(name, target, protocol, method, headers)
    local given = { protocol = protocol }
    if name then given.certificate, given.key = files:path(name .. ".pem"), files:path(name .. ".key") end
    local connection, why = http.connect_tls(running.port, given)
    if not connection then return nil, why end
    local response
    response, why = connection:request(method or "GET", target, { headers = headers })
    connection:close()
    return response, why
  end

  for _, protocol in ipairs { "tlsv1_2", "tlsv1_3" } do
    it("knows a client in " .. protocol, function()
      local response = ask("worker-7", "/machine", protocol)
      assert.equal(200, response.status)
      assert.equal("no-store", response.headers["cache-control"])
      local who = cjson.decode(response.body)
      assert.equal("worker-7", who.subject)
      assert.equal("client_certificate", who.guard)
      assert.equal("O=Example,CN=Machines", who.issuer)
      assert.same({ "machine", "admin" }, who.roles)
      assert.equal(64, #who.claims.fingerprint)
      assert.same({ "spiffe://example/w7" }, who.claims.uris)
      assert.is_true(who.claims.not_after > os.time())
    end)

    it("lets nobody in " .. protocol .. " whose certificate another made", function()
      for _, name in ipairs { "forged", "self" } do
        assert.is_nil((ask(name, "/open", protocol)))
        assert.is_nil((ask(name, "/machine", protocol)))
      end
    end)
  end

  it("answers 401 without a certificate, and serves what is public", function()
    local response = ask(nil, "/machine")
    assert.equal(401, response.status)
    assert.equal("ClientCertificate", response.headers["www-authenticate"])
    assert.equal(200, ask(nil, "/open").status)
    assert.truthy(running:log_line("a guard refused", "no client certificate"))
  end)

  it("asks for roles, and lets in only the clients on its list", function()
    assert.equal(200, ask("worker-7", "/admin").status)
    assert.equal(403, ask("worker-8", "/admin").status)
    assert.equal(200, ask("worker-8", "/machine").status)
    assert.equal(403, ask("worker-9", "/machine").status)
  end)

  it("takes the name that it was told to", function()
    assert.equal('["spiffe://example/w7",["w7@example.test"]]', ask("worker-7", "/uri").body)
    assert.equal(401, ask("worker-8", "/uri").status)
  end)

  it("does nothing for a page of another origin, whose visitor's browser shows the certificate", function()
    local foreign = ask("worker-7", "/machine", nil, "POST", { Origin = "https://evil.example", ["Sec-Fetch-Site"] = "cross-site" })
    assert.equal(403, foreign.status)
    assert.truthy(foreign.body:find("another origin", 1, true), foreign.body)
    assert.equal(200, ask("worker-7", "/machine", nil, "POST").status)
  end)

  it("knows a client whose session was resumed", function()
    local flags = ("-ign_eof -cert %s -key %s"):format(files:path("worker-8.pem"), files:path("worker-8.key"))
    local request = "GET /machine HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for _, version in ipairs { " -tls1_2", " -tls1_3" } do
      local session = files:path("session" .. version:sub(-1))
      assert.truthy(files:client(running.port, flags .. version .. " -sess_out " .. session, request):find('"subject":"worker-8"', 1, true))
      local text = files:client(running.port, flags .. version .. " -sess_in " .. session, request)
      assert.truthy(text:find("\nReused, TLS", 1, true), text)
      assert.truthy(text:find('"subject":"worker-8"', 1, true), text)
    end
  end)

  it("stands in the OpenAPI document", function()
    local document = cjson.decode(ask(nil, "/openapi.json").body)
    assert.same({ type = "mutualTLS" }, document.components.securitySchemes.client_certificate)
    assert.same({ { client_certificate = {} } }, document.paths["/admin"].get.security)
  end)

  it("answers 401 on a server that asks nobody for one", function()
    local plain = server.start(APP)
    assert.equal(401, plain:request("GET", "/machine").status)
    plain:stop()
  end)
end)
