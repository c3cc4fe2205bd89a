-- SPDX-License-Identifier: MIT
-- demilune secret, hash and token: what an operator makes by hand.

local jwt = require "spec.support.jwt"
local server = require "spec.support.server"

local SECRET = "0123456789012345678901234567890123456789"

local function run(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo \"status $?\""))
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)status (%d+)\n$")
  return output, tonumber(status)
end

local function program(arguments) return ("'%s' %s"):format(server.program, arguments) end

describe("the command line", function()
  it("makes a secret of 32 bytes, another one each time", function()
    local first, status = run(program "secret")
    assert.equal(0, status)
    assert.truthy(first:match("^[%w_-]+\n$"))
    assert.equal(43, #first - 1)
    assert.are_not.equal(first, (run(program "secret")))
  end)

  it("refuses a secret too short to be one", function()
    local message, status = run(program "secret 8")
    assert.equal(2, status)
    assert.truthy(message:find("from 16 to", 1, true))
  end)

  it("hashes a password from standard input, never from an argument", function()
    local hash, status = run("echo 'correct horse' | " .. program "hash")
    assert.equal(0, status)
    assert.truthy(hash:match("^%$argon2id%$v=19%$m=19456,t=2,p=1%$"))
    assert.equal(2, select(2, run(program "hash secret")))
    assert.equal(1, select(2, run(program "hash </dev/null")))
    assert.equal("demilune hash: a password has at most 1024 bytes\n", (run("printf '%01025d' 0 | " .. program "hash")))
    assert.equal(0, select(2, run("printf '%01024d\\r\\n' 0 | " .. program "hash")))
  end)

  it("hashes the whole line", function()
    local running = server.start [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public }
local function is(hash, text) return (demilune.password.verify(hash, text)) end
app:get("/", { limit = "5/minute" }, function(req) return { is(req.query.hash, "one\rtwo"), is(req.query.hash, "one") } end)
return app
]]
    local hash = run("printf 'one\\rtwo\\r\\nthree' | " .. program "hash"):match("%S+")
    hash = hash:gsub("%W", function(byte) return ("%%%02x"):format(byte:byte()) end)
    assert.equal("[true,false]", running:request("GET", "/?hash=" .. hash).body)
    running:stop()
  end)

  it("leaves a terminal that shows what is typed where it is interrupted", function()
    local on_terminal = ("sh -c \"trap : INT; %s hash; stty -a\""):format(server.program)
    local said = run(("(sleep 1; printf '\\003'; sleep 1) | script -qec '%s' /dev/null"):format(on_terminal))
    assert.truthy(said:find("Password: ", 1, true), said)
    assert.truthy(said:find("[ ;]echo[ ;\r]"), said)
  end)

  it("signs a token under the secret of the environment", function()
    local token, status = run("JWT_SECRET=" .. SECRET .. " " .. program "token --subject=7 --roles=admin,editor")
    assert.equal(0, status)
    assert.truthy(token:match("^[%w_-]+%.[%w_-]+%.[%w_-]+\n$"))
  end)

  it("signs with a private key from a file, and says whose the token is and for whom", function()
    local key = os.tmpname()
    local function keep(text)
      local file = assert(io.open(key, "wb"))
      file:write(text)
      file:close()
    end
    keep(jwt.private_key)
    local token, status = run(program("token --subject=7 --issuer=https://id.example --audience=api --kid=2030 --key-file=" .. key))
    assert.equal(0, status, token)
    local header, claims = token:match("^([%w_-]+)%.([%w_-]+)%.[%w_-]+\n$")
    assert.equal('{"alg":"ES256","typ":"JWT","kid":"2030"}', jwt.decode(header))
    assert.truthy(jwt.decode(claims):find(',"iss":"https://id.example","aud":"api"}', 1, true))
    assert.equal(1, select(2, run(program("token --subject=7 --algorithm=EdDSA --key-file=" .. key))))
    assert.equal(0, select(2, run("openssl genrsa -out " .. key .. " 2048")))
    assert.truthy(run(program("token --subject=7 --key-file=" .. key)):find("needs to be told its algorithm: RS256", 1, true))
    assert.equal(0, select(2, run(program("token --subject=7 --algorithm=RS256 --key-file=" .. key))))
    keep(jwt.public_key)
    local message, refused = run(program("token --subject=7 --key-file=" .. key))
    assert.equal(1, refused)
    assert.truthy(message:find("cannot sign; give the private one", 1, true), message)
    os.remove(key)
    assert.equal(1, select(2, run(program("token --subject=7 --key-file=" .. key))))
    assert.equal(2, select(2, run(program "token --subject=7 --issued=x")))
  end)

  it("signs nothing without a secret, with a short one, or for nobody", function()
    assert.equal(1, select(2, run("env -u JWT_SECRET " .. program "token --subject=7")))
    assert.equal(1, select(2, run("JWT_SECRET=short " .. program "token --subject=7")))
    assert.equal(2, select(2, run("JWT_SECRET=" .. SECRET .. " " .. program "token")))
    assert.equal(2, select(2, run("JWT_SECRET=" .. SECRET .. " " .. program "token --subject=7 --algorithm=none")))
  end)
end)
