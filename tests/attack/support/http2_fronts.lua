-- SPDX-License-Identifier: MIT
-- Servers that speak HTTP/2 to clients and HTTP/1.1 to Demilune, each as its makers set it up, on connections that they keep.

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

local fronts = {
  { name = "nginx, which gathers a body", program = "nginx", config = NGINX:gsub("BUFFERING", "on"), command = RUN_NGINX },
  { name = "nginx, which passes a body as it comes", program = "nginx", config = NGINX:gsub("BUFFERING", "off"), command = RUN_NGINX },
  { name = "HAProxy", program = "haproxy", config = HAPROXY, command = RUN_HAPROXY },
  { name = "Caddy", program = "caddy", config = CADDY, command = RUN_CADDY },
}

local http2_fronts = {}

--- Each front by its name, and whether this machine has it.
---@return { name: string, there: boolean }[]
function http2_fronts.each()
  for _, each in ipairs(fronts) do each.there = front.run("PATH=$PATH:/usr/sbin command -v " .. each.program) == 0 end
  return fronts
end

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
