-- SPDX-License-Identifier: MIT
-- The name in a ClientHello (SNI, RFC 6066 3) is the client's word, sent before anything is proved. It chooses among the certificates, and
-- nothing else: not the host, not the rules, not who the client is.

local certificates = require "spec.support.certificates"
local hello = require "tests.attack.support.hello"
local http = require "spec.support.http"
local server = require "spec.support.server"
local tls = require "tests.attack.support.tls"

local APP = [[
local demilune = require "demilune"
local guard = demilune.guard
local app = demilune.app { guard = guard.public, allowed_hosts = { "first.test", "*.wild.test" } }
app:get("/", function(req) return { host = req.host } end)
app:get("/machine", { guard = guard.client_certificate {} }, function(req) return req.principal.subject end)
return app
]]

local VERSIONS = { "tlsv1_2", "tlsv1_3" }
local SERVER_NAME, HOST = 0, 0
local DECODE_ERROR, ILLEGAL_PARAMETER, UNRECOGNIZED_NAME = 50, 47, 112

local function sni(...) return hello.extension(SERVER_NAME, hello.server_names { ... }) end

-- What a client may write there: it gets the certificate that is for the name, else the first.
local CHOOSES = {
  { "none", "", "cn-first" },
  { "one that we have", sni { HOST, "second.test" }, "cn-second" },
  { "one that a wildcard is for", sni { HOST, "a.wild.test" }, "cn-wild" },
  { "one in capitals", sni { HOST, "SECOND.Test" }, "cn-second" },
  { "one that ends with a dot", sni { HOST, "second.test." }, "cn-second" },
  { "one that ends with two dots", sni { HOST, "second.test.." }, "cn-first" },
  { "a dot", sni { HOST, "." }, "cn-first" },
  { "one that begins with a dot", sni { HOST, ".wild.test" }, "cn-first" },
  { "two labels before a wildcard's", sni { HOST, "a.b.wild.test" }, "cn-first" },
  { "an empty label before a wildcard's", sni { HOST, "a..wild.test" }, "cn-first" },
  { "an address", sni { HOST, "127.0.0.1" }, "cn-first" },
  { "an address of IPv6", sni { HOST, "[::1]" }, "cn-first" },
  { "a name that nobody has", sni { HOST, "unknown.test" }, "cn-first" },
  { "a host and a port", sni { HOST, "second.test:443" }, "cn-first" },
  { "a path", sni { HOST, "../../etc/passwd" }, "cn-first" },
  { "bytes over 127", sni { HOST, "s\195\169cond.test" }, "cn-first" },
  { "bytes that are no UTF-8", sni { HOST, ("\255"):rep(200) }, "cn-first" },
  { "line breaks", sni { HOST, "second.test\r\nX: y" }, "cn-first" },
  { "nothing, as a name", sni { HOST, "" }, "cn-first" },
  { "the longest that fits", sni { HOST, ("a"):rep(243) .. ".wild.test" }, "cn-wild" },
  { "one too long for a name of a host", sni { HOST, ("a"):rep(245) .. ".wild.test" }, "cn-first" },
}
-- What it may not.
local REFUSED = {
  { "256 bytes", sni { HOST, ("a"):rep(256) }, UNRECOGNIZED_NAME },
  { "16,000 bytes", sni { HOST, ("a"):rep(16000) }, UNRECOGNIZED_NAME },
  { "a NUL behind a name", sni { HOST, "second.test\0" }, UNRECOGNIZED_NAME },
  { "a NUL within", sni { HOST, "second.test\0.wild.test" }, UNRECOGNIZED_NAME },
  { "two names", sni({ HOST, "second.test" }, { HOST, "first.test" }), DECODE_ERROR },
  { "the same name twice", sni({ HOST, "second.test" }, { HOST, "second.test" }), DECODE_ERROR },
  { "a name of another kind", sni { 1, "second.test" }, DECODE_ERROR },
  { "an empty list", sni(), DECODE_ERROR },
  { "an empty extension", hello.extension(SERVER_NAME, ""), DECODE_ERROR },
  { "a list that is shorter than it says", hello.extension(SERVER_NAME, "\0\14\0\0\11second"), DECODE_ERROR },
  { "bytes behind the list", hello.extension(SERVER_NAME, hello.server_names { { HOST, "second.test" } } .. "x"), DECODE_ERROR },
  { "two extensions", sni { HOST, "second.test" } .. sni { HOST, "first.test" }, ILLEGAL_PARAMETER },
}

describe("a server name", function()
  local files, running, one, client, stranger

  setup(function()
    files = certificates.new()
    files:make("authority", { authority = true })
    files:make("other-authority", { authority = true, subject = "/CN=authority" })
    files:make("worker-7", { issuer = "authority" })
    files:make("stranger", { issuer = "other-authority" })
    local flags = {}
    for _, name in ipairs { "first", "second", "wild" } do
      local host = name == "wild" and "*.wild.test" or name .. ".test"
      for _, flag in ipairs(files:make(name, { names = "DNS:" .. host, subject = "/CN=cn-" .. name })) do flags[#flags + 1] = flag end
    end
    client = { certificate = files:path "worker-7.pem", key = files:path "worker-7.key" }
    stranger = { certificate = files:path "stranger.pem", key = files:path "stranger.key" }
    one = server.start(APP, { flags = { flags[1], flags[2] } })
    flags[#flags + 1] = "--tls-client-ca=" .. files:path "authority.pem"
    running = server.start(APP, { flags = flags })
  end)

  teardown(function()
    for _, each in ipairs { running, one } do
      local status, log = each:stop()
      assert.equal(0, status, log)
    end
    files:remove()
  end)

  local function connect(given, more)
    local all = {}
    for _, options in ipairs { given, more or {} } do
      for name, value in pairs(options) do all[name] = value end
    end
    return tls.client(http.connect(running.port), all)
  end

  -- The status and body that a request gets, or nil when the server ends the connection.
  local function ask(connection, target, host)
    if not connection or not connection:send(("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(target, host)) then return nil end
    local text = connection:read_until(function(text) return text:find("\r\n\r\n.") end)
    connection:close()
    return tonumber(text:match("^HTTP/1.1 (%d+)")), text:match("\r\n\r\n(.*)$")
  end

  local function certificate_of(each, extensions)
    return hello.ask(http.connect(each.port), { version = "tlsv1_2", extensions = extensions }).flight:match("cn%-%a+")
  end

  for _, case in ipairs(CHOOSES) do
    it("that is " .. case[1] .. " gets a certificate: " .. case[3], function()
      assert.equal(case[3], certificate_of(running, case[2]))
      assert.equal("cn-first", certificate_of(one, case[2]))
      local answer = hello.ask(http.connect(running.port), { version = "tlsv1_3", extensions = case[2] })
      assert.is_nil(answer.alert)
      assert.truthy(answer.hello)
    end)
  end

  for _, case in ipairs(REFUSED) do
    it("that is " .. case[1] .. " is refused", function()
      for _, version in ipairs(VERSIONS) do
        for _, each in ipairs { running, one } do
          local answer = hello.ask(http.connect(each.port), { version = version, extensions = case[2] })
          assert.same({ case[3] }, { answer.alert, answer.hello })
        end
      end
    end)
  end

  it("is not the host: that is in the request, and allowed_hosts is asked for it", function()
    for _, name in ipairs { "first.test", "second.test", "unknown.test" } do
      assert.same({ 200, '{"host":"first.test"}' }, { ask(connect { name = name }, "/", "first.test") })
      assert.same({ 200, '{"host":"a.wild.test"}' }, { ask(connect { name = name }, "/", "a.wild.test") })
      for _, host in ipairs { "second.test", "unknown.test", "127.0.0.1" } do assert.equal(400, (ask(connect { name = name }, "/", host))) end
    end
  end)

  for _, version in ipairs(VERSIONS) do
    it("changes nothing for client certificates: " .. version, function()
      for _, name in ipairs { "first.test", "second.test", "a.wild.test", "unknown.test" } do
        local given = { name = name, version = version }
        assert.same({ 200, "worker-7" }, { ask(connect(given, client), "/machine", "first.test") })
        assert.equal(401, (ask(connect(given), "/machine", "first.test")))
        assert.is_nil((ask(connect(given, stranger), "/machine", "first.test")))
      end
    end)

    it("of another connection takes no client's identity along: " .. version, function()
      local before = assert(connect({ name = "first.test", version = version }))
      before:send "GET / HTTP/1.1\r\nHost: first.test\r\n\r\n"
      before:read_until(function(text) return text:find("first.test", 1, true) end)
      local session = before:session()
      before:close()
      for _, name in ipairs { "first.test", "second.test" } do
        -- Resumed it is nobody, as it was; made anew it proves who it is.
        local connection = assert(connect({ name = name, version = version, session = session }, client))
        local expected = connection:is_resumed() and 401 or 200
        assert.equal(expected, (ask(connection, "/machine", "first.test")))
        if name == "first.test" then assert.equal(401, expected) end
      end
    end)
  end
end)
