-- SPDX-License-Identifier: MIT
-- The command line: help for each command, and what is said of one that is not understood.

local server = require "spec.support.server"

-- What the program printed, on both channels, and its status.
local function run(arguments, environment)
  local command = ("env -u JWT_SECRET %s timeout 10 '%s' %s </dev/null 2>&1; echo \"|$?\""):format(environment or "", server.program, arguments)
  local pipe = assert(io.popen(command))
  local text, status = pipe:read("*a"):match("^(.*)|(%d+)%s*$")
  pipe:close()
  return text, tonumber(status)
end

local COMMANDS = { "dev", "serve", "reload", "new", "migration", "check", "routes", "openapi", "test", "secret", "hash", "token", "version" }

describe("the command line", function()
  it("has help for every command, and runs none that is asked for help", function()
    for _, command in ipairs(COMMANDS) do
      local text, status = run(command .. " --help")
      assert.equal(0, status)
      assert.equal("Usage: demilune " .. command, text:match("^Usage: demilune %l+"))
      assert.same({ text, 0 }, { run("help " .. command) })
      assert.same({ text, 0 }, { run(command .. " -h") })
      assert.truthy(run("help"):find("\n  " .. command .. " ", 1, true))
    end
    assert.same({ 'demilune: there is no command "nothing"; see demilune help\n', 2 }, { run "help nothing" })
  end)

  it("shows each command its own flags", function()
    local whose = { ["--port NUMBER"] = "dev serve", ["--pid NUMBER"] = "reload", ["--json"] = "check routes", ["--subject WHO"] = "token" }
    for flags, of in pairs(whose) do
      for _, command in ipairs(COMMANDS) do
        local shown = run("help " .. command):find("\n  " .. flags, 1, true) ~= nil
        assert.equal(of:find(command, 1, true) ~= nil, shown, command .. " " .. flags)
      end
    end
  end)

  it("refuses flags that the command does not take", function()
    local cases = { ["check --port=1"] = "port", ["serve --json"] = "json", ["reload --workers 2"] = "workers" }
    for given, flag in pairs(cases) do
      local command = given:match("^%l+")
      assert.same({ ("demilune %s: there is no flag --%s; see demilune help %s\n"):format(command, flag, command), 2 }, { run(given) })
    end
    for given, words in pairs {
      ["dev --prot 1"] = "dev: there is no flag --prot; did you mean --port? See demilune help dev",
      ["check --jsn"] = "check: there is no flag --jsn; did you mean --json? See demilune help check",
    } do
      assert.same({ "demilune " .. words .. "\n", 2 }, { run(given) })
    end
    assert.same({ "demilune dev: there is no flag -p; flags begin with two dashes, see demilune help dev\n", 2 }, { run "dev -p 9" })
  end)

  it("asks whether another command was meant", function()
    for given, meant in pairs { serv = "serve", server = "serve", chekc = "check", tests = "test", ["help rotues"] = "routes" } do
      local name = given:match("%l+$")
      assert.same({ ('demilune: there is no command "%s"; did you mean %s? See demilune help\n'):format(name, meant), 2 }, { run(given) })
    end
  end)

  it("warns of a variable that is nearly one of ours, and of no other", function()
    local nowhere = run "serve nowhere --port=0"
    for name, meant in pairs { WORKER = "WORKERS", PROT = "PORT", LOGFILE = "LOG_FILE", DATE = "DATA" } do
      local text = run("serve nowhere --port=0", ("DEMILUNE_%s=3"):format(name))
      local words = "demilune: warning: nothing reads the variable DEMILUNE_%s; did you mean DEMILUNE_%s?\n"
      assert.equal(words:format(name, meant), text:match("^[^\n]*\n"))
    end
    for _, name in ipairs { "DATA", "COLOUR", "SOCKETS", "BUILD", "PROGRAM", "KILLS", "ADMIN_SOCKET" } do
      assert.is_nil(run("serve nowhere --port=0", ("DEMILUNE_%s=/tmp"):format(name)):find("nothing reads", 1, true), name)
    end
    assert.is_nil(nowhere:find("nothing reads", 1, true), nowhere)
  end)

  it("heeds variables where it heeds their flags", function()
    local text, status = run("serve nowhere", "DEMILUNE_PORT=often")
    assert.same({ "demilune: DEMILUNE_PORT=often must be a number from 0 to 65535 (0 lets the system choose)\n", 2 }, { text, status })
    text, status = run("check nowhere", "DEMILUNE_PORT=often")
    assert.same({ 1, "demilune: nowhere has no app.lua" }, { status, text:match("^[^;]+") })
  end)

  it("shows what dev shows to nobody else, unless it is told to", function()
    local words = "^demilune dev: dev shows tracebacks to whoever reaches it, and %-%-host=0%.0%.0%.0 lets other machines: .* add %-%-exposed\n$"
    local text, status = run "dev nowhere --host 0.0.0.0 --port=0"
    assert.equal(2, status)
    assert.matches(words, text)
    assert.matches(words, (run("dev nowhere --port=0", "DEMILUNE_HOST=0.0.0.0")))
    assert.matches("nowhere has no app.lua", (run "serve nowhere --host 0.0.0.0 --port=0"))
    for flag, variable in pairs { ["--exposed"] = "", [""] = "DEMILUNE_EXPOSED=on" } do
      text = run("dev nowhere --host 0.0.0.0 --port=0 " .. flag, variable)
      assert.truthy(text:find("nowhere has no app.lua", 1, true), text)
      assert.truthy(text:find("dev is exposed: whoever reaches 0.0.0.0 is shown tracebacks", 1, true), text)
    end
    assert.equal("demilune: --exposed=maybe must be on or off\n", (run "dev nowhere --exposed=maybe"))
  end)

  it("takes one folder", function()
    assert.same({ 'demilune serve: takes one folder, and there are two: "a" and "b"\n', 2 }, { run "serve a b" })
    assert.equal("demilune: nowhere has no app.lua; name an app's folder, or make one with `demilune new`\n", (run "dev nowhere --port=0"))
    assert.equal("demilune new needs a name, e.g. demilune new notes\n", (run "new"))
    assert.same({ "demilune: --unix= must be the path of a socket\n", 2 }, { run "serve --unix=" })
  end)

  it("writes a migration only where it knows which and where", function()
    local kinds = "accounts, api_keys, idempotency or sessions\n"
    assert.same({ "demilune migration needs to know for what: demilune migration " .. kinds, 2 }, { run "migration" })
    assert.same({ 'demilune migration: there is no table for "users"; write ' .. kinds, 2 }, { run "migration users" })
    assert.same({ "demilune migration: nowhere has no app.lua; name an app's folder\n", 1 }, { run "migration accounts nowhere" })
  end)

  it("says what is wrong with a token that is asked for", function()
    local secret = "JWT_SECRET=0123456789abcdef0123456789abcdef"
    assert.same({ "demilune token: needs to know whose token it is: --subject=WHO\n", 2 }, { run("token", secret) })
    local seconds = "demilune token: --seconds is how long the token lives, from 1 to 316224000, which is ten years, such as 900\n"
    for _, wrong in ipairs { "5m", "0", "-1", "316224001", "99999999999999999999" } do
      assert.same({ seconds, 2 }, { run("token --subject=7 --seconds=" .. wrong, secret) })
    end
    assert.matches("^demilune token: %-%-algorithm is none; write HS256", (run("token --subject=7 --algorithm=HS257", secret)))
    assert.matches("^demilune token: JWT_SECRET: it is neither in the environment nor in %./%.env; write JWT_SECRET=", (run "token --subject=7"))
    assert.matches("^demilune token: nowhere.pem: No such file", (run "token --subject=7 --key-file=nowhere.pem"))
    local text, status = run("token --subject 7 --roles=a --seconds=316224000", secret)
    assert.same({ 0, 2 }, { status, select(2, text:gsub("%.", "")) })
  end)

  it("signs a token by the secret that dev has", function()
    local folder = server.write_app { [".env"] = "export JWT_SECRET='0123456789abcdef0123456789abcdef'\n", ["bad/.env"] = "JWT SECRET=abc\n",
      ["empty/.env"] = "JWT_SECRET=\n" }
    local function signature(text) return assert(text:match("^([%w_-]+%.[%w_-]+%.[%w_-]+)\n$"), text) end
    signature(run("token --subject=7 " .. folder))
    signature(run("token --subject=7 " .. folder, "JWT_SECRET="))
    assert.matches("it is neither in the environment nor in " .. folder .. "/empty/.env", (run("token --subject=7 " .. folder .. "/empty")), 1, true)
    signature(select(2, server.run({ "token", "--subject=7" }, { folder = folder })))
    assert.equal("demilune token: JWT_SECRET: " .. folder .. "/bad/.env:1: this line is not understood; write NAME=value, the name of letters, "
      .. "digits and _\n", (run("token --subject=7 " .. folder .. "/bad")))
    local other = run("token --secret-variable=OTHER --subject=7 " .. folder)
    assert.matches("OTHER: it is neither in the environment nor in " .. folder .. "/.env", other, 1, true)
    assert.matches('"b" is not understood', (run "token a b --subject=7"))
    server.remove_folder(folder)
  end)

  it("makes a secret of a number of bytes only", function()
    assert.same({ 44, 23 }, { #run "secret", #run "secret 16" })
    for _, given in ipairs { "8", "32b", "32 64", "257" } do
      assert.same({ "demilune secret: takes a number of bytes from 16 to 256 (32 when left out)\n", 2 }, { run("secret " .. given) })
    end
  end)
end)
