-- SPDX-License-Identifier: MIT
-- Servers that speak HTTP/2 to clients and HTTP/1.1 to Demilune, on connections that they keep.

local files = require "spec.support.files"
local front = require "spec.support.front"
local nginx = require "tests.attack.support.nginx"
local server = require "spec.support.server"

local NGINX = nginx.BEGINNING .. [[
  access_log off;
  proxy_request_buffering BUFFERING;
  server {
    listen 127.0.0.1:PORT http2;
    location / { proxy_pass http://demilune; }
  }
}
]]

local HAPROXY = [[
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend clients
  bind 127.0.0.1:PORT proto h2
  default_backend demilune
backend demilune
  server one 127.0.0.1:UPSTREAM
]]

local CADDY = [[
{
  admin off
  auto_https off
  servers {
    protocols h1 h2c
  }
}
http://:PORT {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:UPSTREAM
}
]]

local RUN_NGINX = "env PATH=$PATH:/usr/sbin nginx -e stderr -p FOLDER -c FOLDER/config"
local RUN_HAPROXY = "env PATH=$PATH:/usr/sbin haproxy -db -f FOLDER/config"
local RUN_CADDY = "env HOME=FOLDER XDG_DATA_HOME=FOLDER XDG_CONFIG_HOME=FOLDER caddy run --config FOLDER/config --adapter caddyfile"

local http2_fronts = {}

---@class http2.Front
---@field name string
---@field config string
---@field command string
---@field missing? boolean this machine may be without it, and is
---@type http2.Front[]
http2_fronts.each = {
  { name = "nginx, which gathers a body", config = NGINX:gsub("BUFFERING", "on"), command = RUN_NGINX },
  { name = "nginx, which passes a body as it comes", config = NGINX:gsub("BUFFERING", "off"), command = RUN_NGINX },
  { name = "HAProxy", config = HAPROXY, command = RUN_HAPROXY },
  -- Installing it starts it on port 80, so that the launcher does so for continuous integration only.
  { name = "Caddy", config = CADDY, command = RUN_CADDY, missing = front.run("command -v caddy") ~= 0 },
}

--- Starts one before a running server. Returns it and its port.
---@return front.Running, integer
function http2_fronts.start(chosen, running)
  local folder, port = server.make_folder(), front.free_port()
  local words = { FOLDER = folder, UPSTREAM = tostring(running.port), PORT = tostring(port) }
  local function fill(text) return (text:gsub("%u+", words)) end
  files.write(folder .. "/config", fill(chosen.config))
  return front.start(folder, fill(chosen.command), port), port
end

return http2_fronts
