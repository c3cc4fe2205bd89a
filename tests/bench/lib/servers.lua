-- SPDX-License-Identifier: MIT
-- The servers that are held against each other: one row each, with the command that serves on a port, in one process, without a log.

local process = require "tests.bench.lib.process"
local request = require "tests.bench.lib.request"

local BUILD = "build/bench"
local PEERS = "tests/bench/peers"

-- nginx reads its port from its configuration only.
local function nginx(name)
  return function(port)
    local here = process.line_of("pwd")
    local text = process.read(("%s/nginx/%s.conf"):format(PEERS, name))
    text = text:gsub("@(%u+)@", {
      PORT = tostring(port), SECRET = request.secret, FOLDER = here .. "/" .. BUILD, SOURCE = here .. "/" .. PEERS .. "/nginx",
    })
    local path = ("%s/%s.conf"):format(BUILD, name)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    return ("nginx -p %s -c %s/%s -e %s/%s.error.log"):format(BUILD, here, path, BUILD, name)
  end
end

local function demilune(log)
  local program = os.getenv("DEMILUNE_PROGRAM") or "build/release/demilune"
  return function(port) return ("%s serve tests/bench/app --host=127.0.0.1 --port=%d --workers=1 --access-log=%s"):format(program, port, log) end
end

local function set(names)
  local made = {}
  for name in names:gmatch("%S+") do made[name] = true end
  return made
end
local MAIN = set "plain create bulk me"
local ALL = set "plain create bulk missing method invalid me fresh nobody forged forbidden"
local OURS = set "plain create bulk missing method invalid me fresh nobody forged forbidden seen counted limited"

---@type { name: string, short: string, command: (fun(port: integer): string), takes: table<string, boolean>, version: string }[]
local servers = {
  { short = "demilune", name = "Demilune", command = demilune("off"), takes = OURS, version = "build/release/demilune version" },
  { short = "demilune-log", name = "Demilune, JSON access log", command = demilune("json"), takes = MAIN },
  { short = "nginx", name = "nginx, `return 200`", command = nginx("static"), takes = set "plain missing", version = "nginx -v" },
  { short = "nginx-lua", name = "nginx + Lua, checks by hand", command = nginx("lua"), takes = ALL,
    version = "dpkg-query -W -f='libnginx-mod-http-lua ${Version}' libnginx-mod-http-lua" },
  { short = "fastify", name = "Fastify", takes = ALL, version = "echo fastify " ..
      "$(sed -n 's/.*\"version\": \"\\(.*\\)\".*/\\1/p' build/bench/fastify/node_modules/fastify/package.json), Node.js $(node --version)",
    command = function(port) return ("env NODE_ENV=production node %s/fastify/server.js %d"):format(BUILD, port) end },
  { short = "fastapi", name = "FastAPI on uvicorn (uvloop, httptools)", takes = ALL,
    version = "dpkg-query -W -f='${Package} ${Version} ' python3-fastapi python3-uvicorn python3-pydantic python3-jose",
    command = function(port)
      return ("/usr/bin/python3 -m uvicorn --app-dir %s/fastapi --host 127.0.0.1 --port %d --log-level warning --no-access-log"
        .. " --loop uvloop --http httptools main:app"):format(PEERS, port)
    end },
}

return servers
