-- SPDX-License-Identifier: MIT
-- TLS as clients see it: versions, names, sessions, ends, and what comes to the port that is no TLS.

local certificates = require "spec.support.certificates"
local ffi = require "ffi"
local http = require "spec.support.http"
local server = require "spec.support.server"
local socket = require "socket"
local tls = require "tests.attack.support.tls"
local write_file = require("spec.support.files").write

ffi.cdef "long write(int fd, const void *bytes, size_t len);"

local MIB = 1024 * 1024

local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { max_body = 8 * 1024 * 1024 } }
app:get("/", function(req) return { scheme = req.scheme } end)
app:get("/size/{n}", { path = { n = demilune.model.integer() } }, function(req) return demilune.response { body = ("x"):rep(req.path.n) } end)
local counted = 0
app:post("/count", { body = demilune.model.raw() }, function(req) counted = counted + 1 return { bytes = #req.body } end)
app:get("/counted", function() return counted end)
app:get("/stream", function() return demilune.stream(function(write) for n = 1, 300 do write(("y"):rep(10000)) end end) end)
app:get("/own", { headers = { ["Strict-Transport-Security"] = "max-age=1" } }, function() return "own" end)
app:get("/said", function() return demilune.response { headers = { ["Strict-Transport-Security"] = "max-age=2" }, body = "said" } end)
local key = demilune.guard.api_key { keys = { till = { digest = ("0a"):rep(32) } } }
app:get("/keyed/{n}", { guard = demilune.guard.any { key, demilune.guard.client_certificate {} }, path = { n = demilune.model.integer() },
  shared = true }, function() return "keyed" end)
app:get("/ended", function() demilune.abort(410, "gone", { ["Strict-Transport-Security"] = "max-age=3" }) end)
return app
]]

local function flags(...)
  local all = {}
  for _, list in ipairs { ... } do
    for _, flag in ipairs(list) do all[#all + 1] = flag end
  end
  return all
end

describe("TLS", function()
  local files, running, ec, rsa, other

  setup(function()
    files = certificates.new()
    ec = files:make("ec", { names = "DNS:localhost,DNS:example.test,IP:127.0.0.1" })
    rsa = files:make("rsa", { names = "DNS:localhost,DNS:example.test", rsa = true })
    other = files:make("other", { names = "DNS:*.other.test" })
    running = server.start(APP, { flags = flags(ec, rsa, other, { "--http-redirect=0" }) })
  end)

  teardown(function()
    local status, log = running:stop()
    files:remove()
    assert.equal(0, status, log)
  end)

  local function client(more, input) return files:client(running.port, more, input) end

  local function connect(given) return assert(http.connect_tls(running.port, given)) end

  it("says https where it listens", function()
    assert.truthy(running:log():find("listening on https://127.0.0.1:" .. running.port, 1, true))
  end)

  for _, version in ipairs { "tlsv1_2", "tlsv1_3" } do
    it("serves " .. version, function()
      local connection = connect { protocol = version }
      local response = connection:request("GET", "/")
      assert.equal('{"scheme":"https"}', response.body)
      connection:close()
    end)
  end

  for _, version in ipairs { "tls1", "tls1_1" } do
    it("refuses " .. version, function()
      local text = client("-" .. version .. " -cipher ALL:@SECLEVEL=0")
      assert.truthy(text:find("alert protocol version", 1, true), text)
    end)
  end

  it("refuses ciphers without forward secrecy or authentication", function()
    for _, cipher in ipairs { "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "AES256-SHA" } do
      local text = client("-tls1_2 -cipher " .. cipher .. ":@SECLEVEL=0")
      assert.truthy(text:find("handshake failure", 1, true), cipher .. "\n" .. text)
    end
  end)

  it("picks the certificate by the name that is asked for", function()
    local function who(given) return client("-servername " .. given):match("subject=CN = (%S+)") end
    assert.equal("ec", who("example.test"))
    assert.equal("other", who("a.other.test"))
    assert.equal("ec", who("a.b.other.test")) -- a wildcard is one label; the default stands in
    assert.equal("ec", who("unknown.test"))
    assert.equal("rsa", who("example.test -sigalgs RSA-PSS+SHA256"))
  end)

  it("has ECDSA and RSA side by side for one name", function()
    assert.truthy(client("-servername localhost"):find("Peer signature type: ECDSA", 1, true))
    assert.truthy(client("-servername localhost -sigalgs RSA-PSS+SHA256"):find("Peer signature type: RSA-PSS", 1, true))
  end)

  it("agrees on http/1.1 and on nothing else", function()
    assert.truthy(client("-alpn h2,http/1.1"):find("ALPN protocol: http/1.1", 1, true))
    assert.truthy(client("-alpn h2"):find("alert no application protocol", 1, true))
    assert.truthy(client(""):find("No ALPN negotiated", 1, true))
  end)

  it("resumes sessions in both versions", function()
    local request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for _, version in ipairs { "-tls1_2", "-tls1_3" } do
      local session = files:path("session")
      assert.truthy(client(version .. " -ign_eof -sess_out " .. session, request):find("\nNew, TLS", 1, true))
      assert.truthy(client(version .. " -ign_eof -sess_in " .. session, request):find("\nReused, TLS", 1, true))
    end
  end)

  it("takes no renegotiation", function()
    local text = client("-tls1_2", "R\n")
    assert.truthy(text:find("no renegotiation", 1, true), text)
  end)

  it("keeps a connection for many requests, also when they come at once", function()
    local connection = connect()
    for _ = 1, 50 do assert.equal(200, connection:request("GET", "/").status) end
    connection:send(("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"):rep(200))
    for _ = 1, 200 do assert.equal('{"scheme":"https"}', connection:receive("GET").body) end
    connection:close()
  end)

  it("carries large bodies both ways", function()
    local connection = connect()
    local response = connection:request("GET", "/size/" .. 5 * MIB)
    assert.equal(5 * MIB, #response.body)
    assert.equal(5 * MIB, select(2, response.body:gsub("x", "x")))
    response = connection:request("POST", "/count", { body = ("z"):rep(5 * MIB) })
    assert.equal(('{"bytes":%d}'):format(5 * MIB), response.body)
    response = connection:request("GET", "/stream")
    assert.equal(3000000, #response.body)
    connection:close()
  end)

  it("takes a body in the smallest records", function()
    local connection = connect()
    connection:send("POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n\r\n")
    for _ = 1, 300 do connection:send("a") end
    assert.equal('{"bytes":300}', connection:receive("POST").body)
    connection:close()
  end)

  it("serves clients whose buffers are small", function()
    local narrow = http.connect_narrow(running.port)
    local wrapped = assert(require("ssl").wrap(narrow.tcp, { mode = "client", protocol = "any", verify = "none" }))
    wrapped:settimeout(20)
    assert(wrapped:dohandshake())
    local connection = http.wrap(wrapped)
    assert.equal(2 * MIB, #connection:request("GET", "/size/" .. 2 * MIB).body)
    connection:close()
  end)

  it("says close_notify when it closes", function()
    local text = client("-ign_eof -msg", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert.truthy(text:find("HTTP/1.1 200 OK", 1, true))
    assert.truthy(text:find("<<< TLS 1.3, Alert [length 0002], warning close_notify", 1, true), text)
  end)

  it("does not count a body that was cut off", function()
    local before = connect():request("GET", "/counted").body
    local half = "POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf"
    local cut_off = tls.client(http.connect(running.port))
    cut_off:send(half)
    cut_off.connection:shutdown() -- without a close_notify
    local rest, ending = cut_off.connection:read_rest()
    cut_off:close()
    assert.equal("closed", ending, rest)
    assert.equal(before, connect():request("GET", "/counted").body)
  end)

  -- Whether the server still has its end of a connection: an end that nobody has any more shows as one of no file.
  local function is_held(connection)
    local pipe = io.popen(("readlink /proc/$PPID/fd/%d"):format(connection.tcp:getfd()))
    local file, port, ends = pipe:read("*l"):match("%d+"), nil, {}
    pipe:close()
    for line in io.lines "/proc/net/tcp" do
      local own, peer, its_file = line:match("^%s*%d+: %x+:(%x+) %x+:(%x+) %S+ %S+ %S+ %S+%s+%d+%s+%d+ (%d+)")
      if its_file == file then port = own end
      if own and tonumber(own, 16) == running.port then ends[peer] = its_file end
    end
    return (ends[assert(port)] or "0") ~= "0"
  end

  -- Asks for more than sockets hold, and breaks the rules before it has read that; then waits, reads all, and tells how that ended.
  local function break_off(wait)
    local connection = connect()
    connection:send(("GET /size/%d HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(4 * MIB))
    assert(connection.tcp:receive(1))
    assert.equal(200, connect():request("GET", "/").status) -- the worker has gone on: what is left of the answer waits for the socket
    local record = "\23\3\3\0\32" .. ("x"):rep(32)
    assert.equal(#record, tonumber(ffi.C.write(connection.tcp:getfd(), record, #record)))
    wait(connection)
    local _, why, bytes = connection.tcp:receive "*a"
    connection:close()
    return #bytes, why
  end

  it("says why it ends also to who has much to read before that", function()
    local count, why = break_off(function() end)
    assert.truthy(why:find("alert bad record mac", 1, true), why)
    assert.is_true(count > 4 * MIB)
  end)

  it("lets go of who does not read why", function()
    local count, why = break_off(function(connection)
      assert(server.wait_until(20, function() return not is_held(connection) end))
    end)
    assert.falsy(why:find("alert", 1, true), why)
    assert.is_true(count < 4 * MIB)
  end)

  it("answers plain HTTP with a hint", function()
    local connection = running:connect()
    local response = connection:request("GET", "/")
    assert.equal(400, response.status)
    assert.truthy(response.body:find("https://", 1, true))
    assert.is_true(connection:is_closed())
    connection:close()
  end)

  it("closes on garbage", function()
    local broken = { "\22\3\1\255\255" .. ("x"):rep(100), "\128\46\1\3\1", "\23\3\3\0\1x", "\21\3\1\0\2\2\0" }
    for _, bytes in ipairs { "hello\r\n", ("\0"):rep(5000), unpack(broken) } do
      local connection = running:connect()
      connection:send(bytes)
      local rest, why = connection:read_rest()
      assert.equal("closed", why)
      assert.falsy(rest:find("HTTP", 1, true))
      connection:close()
    end
    assert.equal(200, connect():request("GET", "/").status)
  end)

  it("cuts off who does not finish the handshake", function()
    local began = socket.gettime()
    local silent, half = running:connect(30), running:connect(30)
    half:send("\22\3\1\2\0\1\0\1\252\3\3")
    assert.is_true(half:is_closed())
    assert.is_true(silent:is_closed())
    assert.is_true(socket.gettime() - began >= 5)
  end)

  it("serves others while many do not go on", function()
    local stuck = {}
    for index = 1, 200 do
      stuck[index] = running:connect()
      stuck[index]:send("\22\3\1\2\0\1")
    end
    assert.equal(200, connect():request("GET", "/").status)
    for _, connection in ipairs(stuck) do connection:close() end
  end)

  it("tells browsers to come by https only", function()
    local connection = connect()
    assert.equal("max-age=31536000", connection:request("GET", "/").headers["strict-transport-security"])
    assert.equal("max-age=31536000", connection:request("GET", "/nowhere").headers["strict-transport-security"])
    assert.equal("max-age=1", connection:request("GET", "/own").headers["strict-transport-security"])
    connection:close()
  end)

  it("says so once where a response says it itself", function()
    for path, value in pairs { ["/own"] = "max-age=1", ["/said"] = "max-age=2", ["/ended"] = "max-age=3" } do
      local connection, said = connect(), {}
      connection:send("GET " .. path .. " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
      for field in connection:read_rest():gmatch "Strict%-Transport%-Security: ([^\r]+)" do said[#said + 1] = field end
      assert.same({ value }, said)
      connection:close()
    end
  end)

  it("staples the OCSP response of a certificate, and refuses one that is about another", function()
    files:make("authority", { authority = true })
    files:make("vouched", { issuer = "authority", names = "DNS:localhost" })
    local path = function(name) return files:path(name) end
    local serial = files:output("openssl x509 -noout -serial -in " .. path("vouched.pem")):match("serial=(%x+)")
    local index = assert(io.open(path("index.txt"), "w"))
    index:write(("V\t400101000000Z\t\t%s\tunknown\t/CN=vouched\n"):format(serial))
    index:close()
    os.execute(("cat %s %s >%s"):format(path("vouched.pem"), path("authority.pem"), path("chain.pem")))
    files:output(("openssl ocsp -issuer %s -cert %s -reqout %s"):format(path("authority.pem"), path("vouched.pem"), path("request")))
    files:output(("openssl ocsp -index %s -CA %s -rsigner %s -rkey %s -ndays 2 -reqin %s -respout %s"):format(path("index.txt"),
      path("authority.pem"), path("authority.pem"), path("authority.key"), path("request"), path("response")))
    local key, staple = "--tls-key=" .. path("vouched.key"), "--tls-ocsp=" .. path("response")
    local stapling = server.start(APP, { flags = { "--tls-cert=" .. path("chain.pem"), key, staple } })
    local text = files:client(stapling.port, "-status")
    stapling:stop()
    assert.truthy(text:find("OCSP Response Status: successful", 1, true), text)
    assert.truthy(text:find("Cert Status: good", 1, true))
    assert.truthy(client("-status"):find("OCSP response: no response sent", 1, true))
    local app = server.write_app(APP)
    local status, _, err = server.run { "serve", app, "--port=0", ec[1], ec[2], staple }
    server.remove_folder(app)
    assert.equal(1, status)
    assert.truthy(err:find("is about none of the certificates given", 1, true), err)
  end)

  describe("the port beside it", function()
    local port

    setup(function()
      port = tonumber(running:log_line("without TLS"):match("port (%d+)"))
    end)

    local function ask(method, target, options)
      local connection = http.connect(port)
      local response = connection:request(method, target, options)
      connection:close()
      return response
    end

    it("sends readers to https, with path and query", function()
      local response = ask("GET", "/a%20b?c=d&e", { host = "example.test:" .. port })
      assert.equal(308, response.status)
      assert.equal(("https://example.test:%d/a%%20b?c=d&e"):format(running.port), response.headers.location)
      assert.is_nil(response.headers["strict-transport-security"])
      assert.equal(308, ask("HEAD", "/", { host = "127.0.0.1" }).status)
      response = ask("GET", "http://x.other.test/a?b", { host = "x.other.test" })
      assert.equal(("https://x.other.test:%d/a?b"):format(running.port), response.headers.location)
      response = ask("GET", "http://x.other.test?next=/a", { host = "x.other.test" })
      assert.equal(("https://x.other.test:%d/?next=/a"):format(running.port), response.headers.location)
    end)

    it("sends nobody to a host that is not ours", function()
      for _, host in ipairs { "evil.test", "example.test.evil.test", "example.test@evil.test", "localhost:1:2" } do
        local response = ask("GET", "/", { host = host })
        assert.equal(400, response.status, host)
        assert.is_nil(response.headers.location)
      end
    end)

    it("goes by the hosts that the app names, where it names any, and not by the certificates", function()
      local app = APP:gsub("demilune%.app {", 'demilune.app { allowed_hosts = { "named.test" },', 1)
      local naming = server.start(app, { flags = flags(ec, { "--http-redirect=0" }) })
      local function status(host)
        local connection = http.connect(tonumber(naming:log_line("without TLS"):match("port (%d+)")))
        local response = connection:request("GET", "/", { host = host })
        connection:close()
        return response.status
      end
      assert.same({ 308, 400 }, { status "named.test", status "example.test" })
      assert.equal(0, (naming:stop()))
    end)

    it("refuses what should not have been sent in the clear", function()
      assert.equal(403, ask("POST", "/count", { host = "localhost", body = "secret" }).status)
      local response = ask("GET", "/", { host = "localhost", headers = { Authorization = "Bearer x" } })
      assert.equal(403, response.status)
      assert.truthy(response.body:find("change them", 1, true))
      for _, method in ipairs { "GET", "HEAD" } do
        assert.equal(403, ask(method, "/keyed/1?a=b", { host = "localhost", headers = { ["x-api-key"] = "guessed" } }).status)
        assert.equal(308, ask(method, "/keyed/1?a=b", { host = "localhost" }).status)
        assert.equal(308, ask(method, "/", { host = "localhost", headers = { ["X-API-Key"] = "of nothing here" } }).status)
      end
    end)
  end)

  describe("files that cannot serve", function()
    local function refused(...)
      local app = server.write_app(APP)
      local status, _, err = server.run { "serve", app, "--port=0", ... }
      server.remove_folder(app)
      assert.equal(1, status, err)
      return err
    end

    local function write(name, text)
      write_file(files:path(name), text)
      return files:path(name)
    end

    it("are named", function()
      local key = ec[2]
      assert.truthy(refused("--tls-cert=/nowhere.pem", key):find("cannot read the certificate /nowhere.pem", 1, true))
      assert.truthy(refused("--tls-cert=" .. write("text.pem", "hello"), key):find("text.pem: there is no certificate in it", 1, true))
      assert.truthy(refused(rsa[1], key):find("does not belong to the certificate " .. files:path("rsa.pem"), 1, true))
      assert.truthy(refused(ec[1], "--tls-key=" .. files:path("ec.pem")):find("ec.pem: there is no private key in it", 1, true))
      assert.truthy(refused(ec[1]):find("one key for each certificate", 1, true))
      assert.truthy(refused(ec[1], key, "--tls-client-ca=" .. files:path("text.pem")):find("the client CA " .. files:path("text.pem"), 1, true))
      assert.truthy(refused(ec[1], key, "--tls-ocsp=" .. files:path("text.pem")):find("the OCSP response " .. files:path("text.pem"), 1, true))
    end)

    it("warn of what will not last", function()
      files:make("old", { days = 2 })
      os.execute("chmod 644 " .. files:path("old.key"))
      local short = server.start(APP, { flags = { "--tls-cert=" .. files:path("old.pem"), "--tls-key=" .. files:path("old.key") } })
      assert.truthy(short:log_line("old.pem expires soon"))
      assert.truthy(short:log_line("every user of this machine can read the key", "old.key"))
      short:stop()
    end)

    it("are asked for when a flag is about TLS and there is none", function()
      local status, _, err = server.run { "serve", "--tls-client-ca=x.pem" }
      assert.equal(2, status)
      assert.truthy(err:find("give --tls-cert and --tls-key too", 1, true))
    end)
  end)

  it("takes its files from variables too, and leaves HSTS out in dev", function()
    local env = {
      DEMILUNE_TLS_CERT = files:path("ec.pem") .. "," .. files:path("rsa.pem"),
      DEMILUNE_TLS_KEY = files:path("ec.key") .. "," .. files:path("rsa.key"),
    }
    local dev = server.start(APP, { command = "dev", env = env })
    local connection = assert(http.connect_tls(dev.port))
    local response = connection:request("GET", "/")
    assert.equal(200, response.status)
    assert.is_nil(response.headers["strict-transport-security"])
    connection:close()
    local status, log = dev:stop()
    assert.equal(0, status, log)
  end)
end)
