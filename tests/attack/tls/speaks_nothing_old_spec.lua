-- SPDX-License-Identifier: MIT
-- What was secure once is still asked for, by scanners and by who sits between a client and us and takes the better offers away (RFC 8996,
-- RFC 9325, RFC 8446 4.1.3). Each is the only offer here, so that there is nothing better to choose.

local certificates = require "spec.support.certificates"
local hello = require "tests.attack.support.hello"
local http = require "spec.support.http"
local tls_server = require "tests.attack.support.tls_server"

local HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, PROTOCOL_VERSION, INAPPROPRIATE_FALLBACK = 40, 47, 70, 86
local VERSIONS = { ["SSL 3.0"] = "\3\0", ["TLS 1.0"] = "\3\1", ["TLS 1.1"] = "\3\2" }
local SUITES = { -- by their numbers in IANA's registry
  { "no encryption", "\0\59\192\16\192\6" }, { "nobody's certificate", "\0\166\192\24\0\52\192\25" },
  { "export keys", "\0\3\0\8\0\20\0\25" }, { "RC4", "\0\5\192\7\192\17" }, { "DES", "\0\9\0\21" }, { "triple DES", "\0\10\192\8\192\18" },
  { "CBC", "\192\9\192\10\192\19\192\20\192\35\192\36\192\39\192\40\0\47\0\53\0\60" },
  { "keys sent under the certificate's", "\0\156\0\157\192\156\192\157" }, { "keys of a certificate's own", "\192\45\192\46\192\49\192\50" },
  { "Diffie and Hellman over numbers", "\0\158\0\159\204\170\192\158" }, { "shared secrets", "\0\168\192\55\208\1\204\172" },
  { "CCM with a short tag", "\192\174\192\175" }, { "nothing but a signal", "\0\255" },
}
local EXTENSIONS = { heartbeat = 15, truncated_hmac = 4, next_protocol = 13172, compress_certificate = 27 }

describe("speaks nothing old:", function()
  local server

  setup(function()
    local files = certificates.new()
    server = tls_server.start(tls_server.HELLO, { flags = files:make("rsa", { names = "DNS:localhost", rsa = true }) }, files)
  end)

  teardown(function() server:stop() end)

  local function ask(given) return hello.ask(http.connect(server.port), given) end

  -- What a ServerHello says behind the session's id.
  local function read(message)
    local at = 4 + 2 + 32 + 1
    local rest = message:sub(at + message:byte(at) + 1)
    return { random = message:sub(7, 38), suite = rest:sub(1, 2), compression = rest:byte(3), extensions = rest:sub(6) }
  end

  local function has_extension(extensions, number)
    local at = 1
    while at < #extensions do
      if extensions:byte(at) * 256 + extensions:byte(at + 1) == number then return true end
      at = at + 4 + extensions:byte(at + 2) * 256 + extensions:byte(at + 3)
    end
    return false
  end

  it("what is new is spoken", function()
    for _, version in ipairs { "tlsv1_2", "tlsv1_3" } do
      local answer = ask { version = version }
      assert.is_nil(answer.alert)
      assert.equal(version == "tlsv1_3" and "\19\1" or "\192\43", read(answer.hello).suite)
    end
  end)

  for name, number in pairs(VERSIONS) do
    it(name .. ", also as the only one among those of the newer extension", function()
      for _, given in ipairs { { legacy = number }, { extensions = hello.extension(43, "\2" .. number) } } do
        given.version = "tlsv1_2"
        local answer = ask(given)
        assert.is_true(answer.alert == PROTOCOL_VERSION or answer.alert == HANDSHAKE_FAILURE, answer.alert)
        assert.is_nil(answer.hello)
      end
    end)
  end

  it("SSL 2.0", function()
    local connection = http.connect(server.port)
    connection:send "\128\46\1\0\2\0\21\0\0\0\16\1\0\128\3\0\128\7\0\192\6\0\64\2\0\128\4\0\128sixteen bytes .."
    local bytes, ending = connection:read_rest()
    assert.equal("closed", ending)
    assert.is_true(#bytes <= 7) -- an alert at most
  end)

  for _, case in ipairs(SUITES) do
    it("suites with " .. case[1], function()
      for index = 1, #case[2], 2 do
        local answer = ask { version = "tlsv1_2", suites = case[2]:sub(index, index + 1) }
        assert.same({ HANDSHAKE_FAILURE }, { answer.alert, answer.hello })
      end
      local among = ask { version = "tlsv1_2", suites = case[2] .. "\192\43" }
      assert.equal("\192\43", read(among.hello).suite)
    end)
  end

  it("compression, whose lengths tell secrets (CVE-2012-4929)", function()
    assert.equal(0, read(ask({ version = "tlsv1_2", compressions = "\1\0" }).hello).compression)
    assert.equal(ILLEGAL_PARAMETER, ask({ version = "tlsv1_3", compressions = "\1\0" }).alert)
    for _, version in ipairs { "tlsv1_2", "tlsv1_3" } do
      for _, methods in ipairs { "\1", "\64", "" } do
        local answer = ask { version = version, compressions = methods }
        assert.is_number(answer.alert)
        assert.is_nil(answer.hello)
      end
    end
  end)

  it("extensions that did harm (CVE-2014-0160)", function()
    for name, number in pairs(EXTENSIONS) do
      local answer = ask { version = "tlsv1_2", extensions = hello.extension(number, number == 15 and "\1" or "") }
      assert.is_false(answer.hello ~= nil and has_extension(read(answer.hello).extensions, number), name)
    end
  end)

  it("less than both can speak: who was led down to it learns that", function()
    assert.same({ INAPPROPRIATE_FALLBACK }, { ask({ version = "tlsv1_2", suites = "\192\43\86\0" }).alert })
    assert.equal("DOWNGRD\1", read(ask({ version = "tlsv1_2" }).hello).random:sub(-8))
  end)
end)
