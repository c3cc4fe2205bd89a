-- SPDX-License-Identifier: MIT
-- A client that names itself another's address (CWE-348), on a TCP socket that a service manager passes on beside the unix socket of the
-- proxy, whose word counts (--trusted-proxies=unix): each client is of the kind of the socket that it came by, whichever socket came last.

local http = require "spec.support.http"
local manager = require "spec.support.manager"
local server = require "spec.support.server"

local PATIENCE = 30 -- seconds
local CLAIM = { ["X-Forwarded-For"] = "203.0.113.9" }
local APP = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { max_connections_per_client = 2 } }
app:get("/who", function(req) return req.client end)
return app
]]

describe("an address that a client claims", function()
  local folder, running, path, tcp, port, proxies
  before_each(function()
    folder = server.write_app(APP)
    path = folder .. "/socket"
    tcp, port = manager.listen()
    proxies = manager.listen_unix(path)
  end)
  after_each(function()
    local status, log = running:stop()
    tcp:close()
    proxies:close()
    server.remove_folder(folder)
    assert(status == 0, log)
  end)

  -- One worker has both sockets; of two each has one.
  for _, workers in ipairs { 1, 2 } do
    for _, last in ipairs { "unix", "TCP" } do
      it(("is the proxy's to tell, with %d workers and the %s socket passed last"):format(workers, last), function()
        local through = last == "unix" and manager.pass(tcp, proxies) or manager.pass(proxies, tcp)
        running = server.start(folder, { workers = workers, through = through, flags = { "--trusted-proxies=unix" } })
        local kept = {}
        for n = 1, 4 do
          local client, proxy = http.connect(port, PATIENCE), http.connect_unix(path, PATIENCE)
          local refused = n > 2 -- max_connections_per_client, which counts no proxy
          local response = client:request("GET", "/who", { headers = CLAIM })
          assert.equal(not refused and "127.0.0.1" or nil, response and response.body)
          assert.equal(CLAIM["X-Forwarded-For"], proxy:request("GET", "/who", { headers = CLAIM }).body)
          kept[n] = { client, proxy }
        end
        for _, pair in ipairs(kept) do
          pair[1]:close()
          pair[2]:close()
        end
      end)
    end
  end
end)
