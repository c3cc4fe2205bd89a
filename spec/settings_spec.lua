-- SPDX-License-Identifier: MIT
-- Settings: where they come from, and how everything that is wrong is said at once.

local core = require("spec.support.core").install()
local context = require "demilune.context"
local model = require "demilune.model"
local settings = require "demilune.settings"

local environment, getenv, folder = {}, os.getenv, nil

local function write_env(text)
  local file = assert(io.open(folder .. "/.env", "wb"))
  file:write(text)
  file:close()
end

before_each(function()
  environment, core.logged = {}, {}
  os.getenv = function(name) return environment[name] end -- luacheck: ignore 122
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  context.folder, context.mode = folder, "serve"
end)

after_each(function()
  os.getenv = getenv -- luacheck: ignore 122
  os.execute("rm -r " .. folder)
end)

local function refusal(fields)
  local ok, message = pcall(settings.new, fields)
  assert.is_false(ok)
  return message
end

describe("settings", function()
  it("come from the environment, typed", function()
    environment = { PORT = "8080", NAME = "users" }
    local values = settings.new { PORT = model.integer(), NAME = model.string(), WORKERS = model.integer { default = 2 } }
    assert.same({ 8080, "users", 2 }, { values.PORT, values.NAME, values.WORKERS })
  end)

  it("may be left out when they are optional", function()
    assert.is_nil(settings.new({ PORT = model.optional(model.integer()) }).PORT)
  end)

  it("split lists at commas", function()
    environment = { ORIGINS = "https://a.example, https://b.example" }
    assert.same({ "https://a.example", "https://b.example" }, settings.new({ ORIGINS = model.array(model.string()) }).ORIGINS)
  end)

  it("tell all that is missing or wrong at once, with what to write", function()
    environment = { PORT = "many", KEY = "short" }
    local message = refusal { PORT = model.integer(), NAME = model.string(), KEY = model.secret { min_bytes = 32 }, MODE = model.literal { "fast" } }
    assert.matches("settings_spec%.lua:%d+: settings are missing or wrong in the environment:\n", message)
    assert.matches("\n  PORT should be a whole number; write PORT=10", message, 1, true)
    assert.matches("\n  NAME is not set; write NAME=some text", message, 1, true)
    assert.matches("\n  KEY needs at least 32 bytes; set KEY to a secret of at least 32 bytes, such as what `demilune secret` prints",
      message, 1, true)
    assert.matches("\n  MODE is not set; write MODE=fast", message, 1, true)
  end)

  it("refuse to be asked for what was not declared", function()
    environment = { PORT = "1" }
    local values = settings.new { PORT = model.integer() }
    local _, message = pcall(function() return values.PROT end)
    assert.matches("there is no setting PROT; did you mean PORT?", message, 1, true)
  end)

  it("refuse what is no field or no name", function()
    assert.matches("PORT must be a field, not 8080; write PORT = model.string()", refusal { PORT = 8080 }, 1, true)
    assert.matches('"MY PORT" is no name of an environment variable', refusal { ["MY PORT"] = model.integer() })
  end)
end)

describe("a .env file", function()
  it("is read in dev, and the environment wins over it", function()
    context.mode = "dev"
    write_env("PORT=1\nNAME=file\n")
    environment = { PORT = "2" }
    local values = settings.new { PORT = model.integer(), NAME = model.string() }
    assert.same({ 2, "file" }, { values.PORT, values.NAME })
  end)

  it("is not read in production", function()
    write_env("PORT=1\n")
    assert.matches("PORT is not set (the folder's .env, which has it, is read by dev, check and test only); write PORT=10",
      refusal { PORT = model.integer() }, 1, true)
    assert.matches("NAME is not set; write NAME=", refusal { NAME = model.string() }, 1, true)
    write_env("PORT 1\n")
    assert.matches("PORT is not set (the folder's .env, which is read by dev, check and test only, is not understood either); write PORT=10",
      refusal { PORT = model.integer() }, 1, true)
  end)

  it("may begin with a byte order mark", function() assert.same({ A = "1" }, settings.read_env "\239\187\191A=1\r\n") end)

  it("has comments, quotes and exports", function()
    assert.same({ A = "1", B = "two words", C = "it's", D = "a#b", E = "line\nbreak", F = "", G = "raw\\n" }, settings.read_env([[
# a comment
A=1 # of one
export B = "two words"
C="it's"
D=a#b
E="line\nbreak"
F=
G='raw\n' ]]))
  end)

  it("has comments with quotes in them, behind values in quotes, and behind none", function()
    assert.same({ A = "x", B = "abc", C = "", D = "#fff", E = 'a"b', F = "x\\", G = "it # is" }, settings.read_env([[
A='x' # don't change
B="abc" # the "old" one
C= # fill in
D=#fff
E="a\"b"
F="x\\" # "y"
G='it # is'# so]]))
  end)

  it("has no line that nobody understands, and shows no value of one", function()
    local cases = {
      ["A=1\n\nJWT SECRET=abc"] = ".env:3: this line is not understood; write NAME=value, the name of letters, digits and _",
      ["2FA=abc"] = ".env:1: this line", abc = ".env:1: this line", ["=abc"] = ".env:1: this line", ["a-b=abc"] = ".env:1: this line",
      ['# none\r\nKEY="-----BEGIN\r\nabc"'] = '.env:2: the value of KEY has no closing "; a value is on one line',
      ["A='"] = ".env:1: the value of A has no closing '",
      ['A="x"abc'] = '.env:1: the value of A goes on behind its closing "; put all of it between two',
      ["A='it''abc'"] = ".env:1: the value of A goes on behind its closing '",
    }
    context.mode = "dev"
    for text, words in pairs(cases) do
      write_env(text)
      local message = refusal { PORT = model.integer() }
      assert.matches(words, message, 1, true)
      assert.is_nil(message:find("abc", 1, true))
    end
  end)

  it("is one that can be read, or is not there", function()
    context.mode = "dev"
    os.execute("ln -s .env " .. folder .. "/.env")
    assert.matches("^%.env: this file cannot be read %(Too many levels", refusal { PORT = model.integer() })
  end)
end)

describe("a secret that is not set", function()
  it("is made up in dev and said so, without the secret", function()
    context.mode = "dev"
    local values = settings.new { KEY = model.secret { min_bytes = 48 } }
    assert.equal(96, #values.KEY.secret)
    assert.equal(1, #core.logged)
    assert.equal("KEY is not set; a secret made for this start takes its place, which nobody is shown: "
      .. "to know it, write KEY= and what `demilune secret` prints into the folder's .env", core.logged[1].text)
  end)

  it("is another one each time", function()
    context.mode = "test"
    local fields = { KEY = model.secret() }
    assert.are_not.equal(settings.new(fields).KEY.secret, settings.new(fields).KEY.secret)
    assert.same({}, core.logged)
  end)

  it("refuses to start in production", function()
    assert.matches("KEY is not set; set KEY to a secret of at least 16 bytes", refusal { KEY = model.secret() })
  end)

  it("is one that is empty too", function()
    environment = { KEY = "", NAME = "" }
    assert.matches("KEY is empty; set KEY to a secret of at least 16 bytes", refusal { KEY = model.secret() })
    local values = settings.new { KEY = model.optional(model.secret()), NAME = model.string() }
    assert.same({ nil, "" }, { values.KEY, values.NAME })
    context.mode = "dev"
    assert.equal(64, #settings.new({ KEY = model.secret() }).KEY.secret)
    write_env "KEY=from-the-file"
    assert.equal("from-the-file", settings.new({ KEY = model.secret() }).KEY.secret)
  end)

  it("is made up, or left out, as well where a reference leads to it", function()
    local function behind(target) return model.ref(model.ref(function() return target end)) end
    context.mode = "dev"
    assert.equal(96, #settings.new({ KEY = behind(model.secret { min_bytes = 48 }) }).KEY.secret)
    environment = { KEY = "" }
    assert.equal(64, #settings.new({ KEY = behind(model.secret()) }).KEY.secret)
    assert.equal(2, #core.logged)
    assert.is_nil(settings.new({ KEY = model.ref(model.secret(), { optional = true }) }).KEY)
    assert.is_nil(settings.new({ KEY = behind(model.optional(model.secret())) }).KEY)
    context.mode = "serve"
    assert.matches("KEY is empty; set KEY to a secret of at least 16 bytes", refusal { KEY = behind(model.secret()) })
  end)
end)
