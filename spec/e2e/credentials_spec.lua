-- SPDX-License-Identifier: MIT
-- demilune secret, hash and token: what an operator makes by hand.

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
  end)

  it("signs a token under the secret of the environment", function()
    local token, status = run("JWT_SECRET=" .. SECRET .. " " .. program "token --subject=7 --roles=admin,editor")
    assert.equal(0, status)
    assert.truthy(token:match("^[%w_-]+%.[%w_-]+%.[%w_-]+\n$"))
  end)

  it("signs nothing without a secret, with a short one, or for nobody", function()
    assert.equal(1, select(2, run("env -u JWT_SECRET " .. program "token --subject=7")))
    assert.equal(1, select(2, run("JWT_SECRET=short " .. program "token --subject=7")))
    assert.equal(2, select(2, run("JWT_SECRET=" .. SECRET .. " " .. program "token")))
    assert.equal(2, select(2, run("JWT_SECRET=" .. SECRET .. " " .. program "token --subject=7 --algorithm=none")))
  end)
end)
