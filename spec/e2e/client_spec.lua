-- SPDX-License-Identifier: MIT
-- Who the client is: what trusted proxies say of it counts, what anybody else says does not. The spec's own connections come from any
-- address of 127.0.0.0/8; 127.0.0.1 is the proxy.

local cjson = require "cjson"
local files = require "spec.support.files"
local front = require "spec.support.front"
local http = require "spec.support.http"
local server = require "spec.support.server"

local APP = [[
local demilune = require "demilune"
local model, guard = demilune.model, demilune.guard
local app = demilune.app { title = "client", guard = guard.public, %s }
app:get("/who", function(req) return { client = req.client, scheme = req.scheme, host = req.host } end)
app:get("/limited", { limit = "2/minute" }, function() return "fine" end)
app:get("/moved", function(req)
  return demilune.response { status = 308, headers = { Location = req.scheme .. "://" .. req.host .. "/who" } }
end)
app:get("/trace", function(req)
  demilune.log.info("inside", { mark = req.trace.span_id })
  return req.trace
end)
app:get("/key", { guard = guard.api_key { keys = { a = { digest = ("0"):rep(64) } } } }, function() return "in" end)
return app
]]

local function app(options) return APP:format(options or "") end

local from = front.connect_from

local function ask(running, address, target, headers, host)
  local connection = from(address, running.port)
  local response = assert(connection:request("GET", target, { headers = headers, host = host }))
  connection:close()
  return response
end

local function who(...) return cjson.decode(ask(...).body) end

local function stop(running)
  local status, log = running:stop()
  assert(status == 0, log)
  return log
end

describe("a server that trusts one proxy", function()
  local running
  setup(function() running = server.start(app 'trusted_proxies = { "127.0.0.1" }, allowed_hosts = { "127.0.0.1", "a.example" }') end)
  teardown(function() stop(running) end)

  it("sees through the proxy", function()
    local seen = who(running, "127.0.0.1", "/who", { Forwarded = 'for="[2001:db8::1]:4711";proto=https;host=a.example' })
    assert.same({ client = "2001:db8::1", scheme = "https", host = "a.example" }, seen)
    seen = who(running, "127.0.0.1", "/who", { ["X-Forwarded-For"] = "6.6.6.6, 192.0.2.1", ["X-Forwarded-Proto"] = "https" })
    assert.same({ client = "192.0.2.1", scheme = "https", host = "127.0.0.1" }, seen)
  end)

  it("asks each request anew, since one connection of a proxy carries many clients", function()
    local connection = from("127.0.0.1", running.port)
    for _, address in ipairs { "192.0.2.1", "192.0.2.2", "192.0.2.1" } do
      local response = connection:request("GET", "/who", { headers = { ["X-Forwarded-For"] = address } })
      assert.equal(address, cjson.decode(response.body).client)
    end
    local response = connection:request("GET", "/who")
    assert.same({ client = "127.0.0.1", scheme = "http", host = "127.0.0.1" }, cjson.decode(response.body))
    connection:close()
  end)

  it("keeps nothing of what it said of one client for the next, whoever that is", function()
    local of_proxy = { Forwarded = 'for=192.0.2.1;proto=https;host=a.example' }
    for _ = 1, 3 do
      assert.same({ client = "192.0.2.1", scheme = "https", host = "a.example" }, who(running, "127.0.0.1", "/who", of_proxy))
      assert.same({ client = "127.0.0.7", scheme = "http", host = "127.0.0.1" }, who(running, "127.0.0.7", "/who"))
    end
  end)

  it("believes nothing that a stranger says, in limits, redirects, logs or handlers", function()
    local lies = {
      Forwarded = "for=192.0.2.9;proto=https;host=a.example", ["X-Forwarded-For"] = "192.0.2.9", ["X-Forwarded-Proto"] = "https",
      ["X-Forwarded-Host"] = "a.example", ["X-Real-IP"] = "192.0.2.9",
    }
    assert.same({ client = "127.0.0.7", scheme = "http", host = "127.0.0.1" }, who(running, "127.0.0.7", "/who", lies))
    assert.equal("http://127.0.0.1/who", ask(running, "127.0.0.7", "/moved", lies).headers.location)
    local statuses = {}
    for index = 1, 3 do
      lies["X-Forwarded-For"], lies.Forwarded = "192.0.2." .. index, nil
      statuses[index] = ask(running, "127.0.0.8", "/limited", lies).status
    end
    assert.same({ 200, 200, 429 }, statuses)
    assert.equal(400, ask(running, "127.0.0.7", "/who", lies, "evil.example").status)
    assert.truthy(running:log_line('"/limited"', '"client":"127.0.0.8"', '"status":429'))
    assert.is_nil(running:log():find('"client":"192.0.2.9"', 1, true))
  end)

  it("counts, logs and redirects by the client that its proxy names", function()
    local function limited(address) return ask(running, "127.0.0.1", "/limited", { ["X-Forwarded-For"] = address }).status end
    assert.same({ 200, 200, 429 }, { limited "192.0.2.21", limited "192.0.2.21", limited "192.0.2.21" })
    assert.equal(200, limited "192.0.2.22")
    assert.same({ 200, 200, 429 }, { limited "2001:db8:0:1::1", limited "2001:db8:0:1::2", limited "2001:db8:0:1::3" })
    assert.truthy(running:log_line('"/limited"', '"client":"192.0.2.21"', '"status":429'))
    assert.equal(401, ask(running, "127.0.0.1", "/key", { Forwarded = "for=192.0.2.23", ["X-API-Key"] = "guessed" }).status)
    assert.truthy(running:log_line("a guard refused", '"client":"192.0.2.23"'))
    local moved = ask(running, "127.0.0.1", "/moved", { Forwarded = "for=192.0.2.23;proto=https;host=a.example" })
    assert.equal("https://a.example/who", moved.headers.location)
  end)

  it("answers only to hosts of its own, also when its proxy names one", function()
    assert.equal(400, ask(running, "127.0.0.1", "/who", { ["X-Forwarded-Host"] = "evil.example" }).status)
    assert.equal(200, ask(running, "127.0.0.1", "/who", { ["X-Forwarded-Host"] = "a.example" }, "inner").status)
  end)

  it("says once what it did not believe, and takes the last hop that it knows", function()
    for _ = 1, 5 do assert.equal("127.0.0.1", who(running, "127.0.0.1", "/who", { Forwarded = "for=192.0.2.1, for=junk junk" }).client) end
    assert.equal("127.0.0.1", who(running, "127.0.0.1", "/who", { Forwarded = "for=192.0.2.1, for=_hidden" }).client)
    assert.truthy(running:log_line("a trusted proxy sent what was not believed", "malformed"))
    local _, times = running:log():gsub("what was not believed", "")
    assert.equal(1, times)
  end)

  it("does not let a client speak by the field that its proxy does not write", function()
    local seen = who(running, "127.0.0.1", "/who", { ["X-Forwarded-For"] = "192.0.2.1", Forwarded = "for=10.0.0.1;host=a.example" })
    assert.same({ client = "127.0.0.1", scheme = "http", host = "127.0.0.1" }, seen)
    seen = who(running, "127.0.0.1", "/who", { ["X-Forwarded-For"] = "192.0.2.1", Forwarded = "for=192.0.2.1;proto=https" })
    assert.same({ client = "192.0.2.1", scheme = "https", host = "127.0.0.1" }, seen)
  end)

  it("takes a PROXY header for no request, since nobody asked for it", function()
    for _, header in ipairs { "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "\r\n\r\n\0\r\nQUIT\n\33\17\0\12\192\0\2\1\192\0\2\2\0\1\0\2" } do
      for _, address in ipairs { "127.0.0.1", "127.0.0.7" } do
        local connection = from(address, running.port)
        connection:send(header .. "GET /who HTTP/1.1\r\nHost: a.example\r\n\r\n")
        local response = connection:receive()
        assert.equal(400, response.status)
        assert.is_true(connection:is_closed())
      end
    end
  end)
end)

describe("a server of a developer's own", function()
  local function statuses(flags, options)
    local running = server.start(app(options), { command = "dev", flags = flags })
    local seen = {}
    local hosts = { "127.0.0.1:1", "localhost", "LOCALHOST:8000", "app.localhost:1", "[::1]:8000", "evil.example", "localhost.evil.example:8000" }
    for index, host in ipairs(hosts) do
      seen[index] = ask(running, "127.0.0.1", "/who", {}, host).status
    end
    stop(running)
    return table.concat(seen, " ")
  end

  it("answers to names of this machine, which no page can have pointed at it, and to those that the app names", function()
    assert.equal("200 200 200 200 200 400 400", statuses())
    assert.equal("200 200 200 200 200 200 400", statuses(nil, 'allowed_hosts = { "evil.example" }'))
    assert.equal("200 200 200 200 200 200 200", statuses { "--exposed" })
  end)
end)

describe("who is trusted", function()
  it("is nobody unless it is said", function()
    local running = server.start(app())
    assert.equal("127.0.0.1", who(running, "127.0.0.1", "/who", { Forwarded = "for=192.0.2.1" }).client)
    stop(running)
  end)

  it("is what the flag says, before the variable and the app", function()
    local running = server.start(app 'trusted_proxies = { "127.0.0.1" }', { flags = { "--trusted-proxies=127.0.0.2,unix" } })
    assert.equal("127.0.0.1", who(running, "127.0.0.1", "/who", { Forwarded = "for=192.0.2.1" }).client)
    assert.equal("192.0.2.1", who(running, "127.0.0.2", "/who", { Forwarded = "for=192.0.2.1" }).client)
    stop(running)
    running = server.start(app 'trusted_proxies = { "127.0.0.1" }', { env = { DEMILUNE_TRUSTED_PROXIES = "" } })
    assert.equal("127.0.0.1", who(running, "127.0.0.1", "/who", { Forwarded = "for=192.0.2.1" }).client)
    stop(running)
  end)

  it("is judged for each request by the list of the last reload, on connections that were there before it as well", function()
    local folder = server.write_app(app 'trusted_proxies = { "127.0.0.1" }')
    local running = server.start(folder)
    local first, second = from("127.0.0.1", running.port), from("127.0.0.2", running.port)
    local function seen()
      local clients = {}
      for index, connection in ipairs { first, second } do
        clients[index] = cjson.decode(connection:request("GET", "/who", { headers = { Forwarded = "for=192.0.2.1" } }).body).client
      end
      return clients
    end
    assert.same({ "192.0.2.1", "127.0.0.2" }, seen())
    files.write(folder .. "/app.lua", app 'trusted_proxies = { "127.0.0.2" }')
    assert.equal(0, (server.run { "reload", folder }))
    assert.same({ "127.0.0.1", "192.0.2.1" }, seen())
    first:close()
    second:close()
    stop(running)
    server.remove_folder(folder)
  end)

  it("may be who has the other end of a unix socket", function()
    local folder = server.make_folder()
    local running = server.start(app 'trusted_proxies = { "unix" }', { flags = { "--unix=" .. folder .. "/s" } })
    local connection = http.connect_unix(folder .. "/s")
    local response = connection:request("GET", "/who", { headers = { Forwarded = "for=192.0.2.1;proto=https" } })
    assert.same({ client = "192.0.2.1", scheme = "https", host = "127.0.0.1" }, cjson.decode(response.body))
    assert.equal("unix", cjson.decode(connection:request("GET", "/who").body).client)
    connection:close()
    stop(running)
    server.remove_folder(folder)
  end)

  it("is never everybody", function()
    for _, all in ipairs { "*", "0.0.0.0/0", "::/0", "10.0.0.0/8,*" } do
      local folder = server.write_app(app())
      local status, _, problem = server.run({ "serve", folder, "--port=0", "--trusted-proxies=" .. all })
      assert.equal(2, status)
      assert.truthy(problem:find("would trust what anybody says who they are; write the networks your proxies are in", 1, true), problem)
      server.remove_folder(folder)
      folder = server.write_app(app(("trusted_proxies = { %q }"):format(all:match("[^,]*$"))))
      status, _, problem = server.run { "check", folder }
      assert.equal(1, status)
      assert.truthy(problem:find('app.lua:3: demilune.app: "', 1, true) and problem:find("in trusted_proxies would trust", 1, true), problem)
      server.remove_folder(folder)
    end
  end)

  it("is written as networks, or told how", function()
    local folder = server.write_app(app 'trusted_proxies = { "10.0.0.1/8" }')
    local _, _, problem = server.run { "check", folder }
    assert.truthy(problem:find("write the network's first address", 1, true), problem)
    _, _, problem = server.run({ "serve", folder, "--port=0", "--proxy-protocol=maybe" })
    assert.truthy(problem:find("--proxy-protocol=maybe must be on or off", 1, true), problem)
    server.remove_folder(folder)
    folder = server.write_app(app())
    _, _, problem = server.run({ "serve", folder, "--port=0", "--proxy-protocol" })
    assert.truthy(problem:find("and none is named; write --trusted-proxies=", 1, true), problem)
    server.remove_folder(folder)
  end)
end)

describe("a server whose proxy speaks the PROXY protocol", function()
  local V1 = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
  local V2 = "\r\n\r\n\0\r\nQUIT\n\33\17\0\12\192\0\2\43\198\51\100\17\220\4\1\187"
  local REQUEST = "GET /who HTTP/1.1\r\nHost: a.example\r\n\r\n"
  local running

  local function start(options)
    running = server.start(app(options), { flags = { "--trusted-proxies=127.0.0.1", "--proxy-protocol" } })
  end

  local function client_of(bytes)
    local connection = from("127.0.0.1", running.port)
    connection:send(bytes)
    local response, why = connection:receive()
    connection:close()
    return response and cjson.decode(response.body).client or why
  end

  after_each(function() stop(running) end)

  it("takes the client from text and binary headers", function()
    start()
    assert.equal("192.0.2.1", client_of(V1 .. REQUEST))
    assert.equal("2001:db8::1", client_of("PROXY TCP6 2001:db8::1 ::1 1 2\r\n" .. REQUEST))
    assert.equal("192.0.2.43", client_of(V2 .. REQUEST))
    assert.equal("127.0.0.1", client_of("PROXY UNKNOWN\r\n" .. REQUEST))
    assert.equal("127.0.0.1", client_of("\r\n\r\n\0\r\nQUIT\n\32\0\0\0" .. REQUEST))
    assert.truthy(running:log_line('"client":"192.0.2.43"'))
  end)

  it("takes them in whatever pieces they come", function()
    start()
    for header, client in pairs { [V1] = "192.0.2.1", [V2] = "192.0.2.43" } do
      local bytes = header .. REQUEST
      for cut = 1, #header + 4 do
        local connection = from("127.0.0.1", running.port)
        connection:send(bytes:sub(1, cut))
        for _ = 1, 2 do assert.equal("127.0.0.7", who(running, "127.0.0.7", "/who").client) end -- the first piece has arrived
        connection:send(bytes:sub(cut + 1))
        assert.equal(client, cjson.decode(assert(connection:receive()).body).client, "cut at byte " .. cut)
        connection:close()
      end
    end
  end)

  it("believes none of a proxy that a reload took off the list, on connections that were there before it as well", function()
    local folder = server.write_app(app 'trusted_proxies = { "127.0.0.1" }')
    running = server.start(folder, { flags = { "--proxy-protocol" } })
    local named, silent = from("127.0.0.1", running.port), from("127.0.0.1", running.port)
    named:send(V1 .. REQUEST)
    assert.equal("192.0.2.1", cjson.decode(named:receive().body).client)
    files.write(folder .. "/app.lua", app 'trusted_proxies = { "127.0.0.2" }')
    assert.equal(0, (server.run { "reload", folder }))
    named:send(REQUEST)
    silent:send(V1 .. REQUEST)
    for _, connection in ipairs { named, silent } do
      local response = connection:receive()
      assert.equal(400, response.status)
      assert.truthy(response.body:find("is not trusted any more", 1, true), response.body)
      assert.is_true(connection:is_closed())
    end
    server.remove_folder(folder)
  end)

  it("closes a trusted connection without one, and says so", function()
    start()
    local wrong = { REQUEST, "PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n" .. REQUEST, "\22\3\1\2\0\1\0", "\r\n" .. REQUEST, V1:gsub("\r", "") .. REQUEST }
    for _, bytes in ipairs(wrong) do
      assert.equal("closed", client_of(bytes))
    end
    assert.truthy(running:log_line("what was not believed", "PROXY header"))
  end)

  it("closes one that does not finish in time", function()
    start 'limits = { header_timeout = "300ms" }'
    for _, bytes in ipairs { "", "PROXY TCP4 ", V2:sub(1, 20) } do
      local connection = from("127.0.0.1", running.port)
      if #bytes > 0 then connection:send(bytes) end
      assert.is_true(connection:is_closed())
      connection:close()
    end
  end)

  it("asks strangers for none, and refuses theirs", function()
    start()
    assert.equal("127.0.0.7", who(running, "127.0.0.7", "/who").client)
    local connection = from("127.0.0.7", running.port)
    connection:send(V1 .. REQUEST)
    assert.equal(400, connection:receive().status)
    connection:close()
  end)

  it("believes the client that was named no forwarded field", function()
    start()
    assert.equal("192.0.2.1", client_of(V1 .. "GET /who HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"))
    assert.equal("127.0.0.1", client_of("PROXY UNKNOWN\r\nGET /who HTTP/1.1\r\nHost: a\r\nForwarded: for=10.0.0.1\r\n\r\n"))
    assert.equal("10.0.0.1", client_of("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /who HTTP/1.1\r\nHost: a\r\nForwarded: for=10.0.0.1\r\n\r\n"))
  end)

  it("trusts no client that came to its proxy by a unix socket, although proxies may come to us by one", function()
    running = server.start(app(), { flags = { "--trusted-proxies=127.0.0.1,unix", "--proxy-protocol" } })
    local by_unix = "\r\n\r\n\0\r\nQUIT\n\33\49\0\216" .. ("/x\0"):rep(72)
    assert.equal("unix", client_of(by_unix .. "GET /who HTTP/1.1\r\nHost: a\r\nForwarded: for=10.0.0.1\r\n\r\n"))
  end)

  it("caps connections by the client that was named", function()
    start "limits = { max_connections_per_client = 2 }"
    local held = {}
    for index = 1, 2 do
      held[index] = from("127.0.0.1", running.port)
      held[index]:send(V1 .. REQUEST)
      assert.equal(200, held[index]:receive().status)
    end
    assert.equal("closed", client_of(V1 .. REQUEST))
    assert.equal("192.0.2.43", client_of(V2 .. REQUEST))
    for _, connection in ipairs(held) do connection:close() end
    assert.truthy(server.wait_until(20, function() return client_of(V1 .. REQUEST) == "192.0.2.1" end))
  end)

  it("caps no proxy, whoever it names, and counts for it nobody whom it named", function()
    start "limits = { max_connections_per_client = 2 }"
    local held = {}
    for index = 1, 4 do held[index] = from("127.0.0.1", running.port) end
    for index, connection in ipairs(held) do
      connection:send(("PROXY TCP4 192.0.2.%d 198.51.100.1 1 2\r\n"):format(index) .. REQUEST)
      assert.equal(200, assert(connection:receive()).status)
    end
    assert.equal("127.0.0.1", client_of("PROXY TCP4 127.0.0.1 198.51.100.1 1 2\r\n" .. REQUEST))
    for _, connection in ipairs(held) do connection:close() end
  end)

  it("takes the addresses of one IPv6 network for one client, as limits do", function()
    start "limits = { max_connections_per_client = 2 }"
    local function v6(address) return ("PROXY TCP6 %s ::1 1 2\r\n"):format(address) .. REQUEST end
    local held = {}
    for index, address in ipairs { "2001:db8::1", "2001:db8::2:0:0:1" } do
      held[index] = from("127.0.0.1", running.port)
      held[index]:send(v6(address))
      assert.equal(200, held[index]:receive().status)
    end
    assert.equal("closed", client_of(v6 "2001:db8::3"))
    assert.equal("2001:db8:0:1::3", client_of(v6 "2001:db8:0:1::3"))
    for _, connection in ipairs(held) do connection:close() end
  end)

  it("takes the proxies in one IPv6 network for several, each of which has many clients", function()
    local flags = { "--trusted-proxies=127.0.0.1,2001:db8:9::/48", "--proxy-protocol" }
    running = server.start(app "limits = { max_connections_per_client = 2 }", { flags = flags })
    local held = {}
    for index = 1, 3 do
      held[index] = from("127.0.0.1", running.port)
      held[index]:send(("PROXY TCP6 2001:db8:9::%d ::1 1 2\r\n"):format(index) .. REQUEST)
      assert.equal(200, assert(held[index]:receive()).status)
    end
    for _, connection in ipairs(held) do connection:close() end
  end)

  it("counts those that were announced, and those that were not", function()
    running = server.start(app(), { flags = { "--trusted-proxies=127.0.0.1", "--proxy-protocol", "--admin=0" } })
    assert.equal("192.0.2.1", client_of(V1 .. REQUEST))
    assert.equal("closed", client_of(REQUEST))
    local function counts(page)
      return { page:sum("demilune_connections_refused_total", { reason = "proxy_header" }), page:sum "demilune_connections_accepted_total" }
    end
    local page = running:metrics_when(function(page) return counts(page)[1] + counts(page)[2] == 2 end)
    assert.same({ 1, 1 }, counts(page))
  end)

  it("stops in order while headers are missing", function()
    start()
    local connection = from("127.0.0.1", running.port)
    connection:send("PROXY ")
    assert.equal("127.0.0.7", who(running, "127.0.0.7", "/who").client)
  end)
end)

describe("a trace", function()
  local TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
  local running
  setup(function() running = server.start(app()) end)
  teardown(function() stop(running) end)

  it("is joined when the request brings one, in logs and for calls that follow", function()
    local given = { traceparent = "00-" .. TRACE .. "-" .. SPAN .. "-01", tracestate = "congo=t61rcWkgMzE" }
    local trace = cjson.decode(ask(running, "127.0.0.1", "/trace", given).body)
    assert.same({ TRACE, SPAN, true, "congo=t61rcWkgMzE" }, { trace.id, trace.parent_id, trace.sampled, trace.tracestate })
    assert.equal(("00-%s-%s-01"):format(TRACE, trace.span_id), trace.traceparent)
    assert.truthy(running:log_line('"message":"request"', '"trace_id":"' .. TRACE, '"parent_id":"' .. SPAN, '"span_id":"' .. trace.span_id))
    assert.truthy(running:log_line('"message":"inside"', '"trace_id":"' .. TRACE, '"span_id":"' .. trace.span_id))
  end)

  it("begins here when it brings none, or none that is valid", function()
    local seen = {}
    for _, given in ipairs { {}, { traceparent = "00-" .. ("0"):rep(32) .. "-" .. SPAN .. "-01", tracestate = "a=1" }, { traceparent = "x" } } do
      local trace = cjson.decode(ask(running, "127.0.0.1", "/trace", given).body)
      assert.truthy(trace.id:match("^%x+$") and #trace.id == 32 and #trace.span_id == 16)
      assert.same({ nil, nil, false }, { trace.parent_id, trace.tracestate, trace.sampled })
      assert.is_nil(seen[trace.id])
      seen[trace.id] = true
      assert.truthy(running:log_line('"message":"request"', '"trace_id":"' .. trace.id))
    end
  end)

  it("is in the access log of what was refused, too", function()
    ask(running, "127.0.0.1", "/nowhere", { traceparent = "00-" .. TRACE .. "-aaaaaaaaaaaaaaaa-00" })
    assert.truthy(running:log_line('"status":404', '"trace_id":"' .. TRACE, '"parent_id":"aaaaaaaaaaaaaaaa"'))
    local connection = from("127.0.0.1", running.port)
    connection:send("nonsense\r\n\r\n")
    assert.equal(400, connection:receive().status)
    assert.truthy(running:log_line('"status":400', '"trace_id":"'))
  end)
end)
