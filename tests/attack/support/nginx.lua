-- SPDX-License-Identifier: MIT
-- Debian's nginx in front of a running server, for one spec: two sockets, one that gathers a body before it passes it on and one that
-- passes it as it comes. Both keep their connection to the server, where a desync would do its harm, and number each request they forward.
-- A third one is a cache, which keeps whatever it may, errors too.

local files = require "spec.support.files"
local process = require "spec.support.process"
local server = require "spec.support.server"
local unix = require "socket.unix"

local nginx = {}

--- How a configuration begins, up to its servers: FOLDER is where nginx may write, and UPSTREAM the server's port.
nginx.BEGINNING = [[
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log;
events { worker_connections 256; }
http {
  client_body_temp_path FOLDER/body;
  proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/fastcgi;
  uwsgi_temp_path FOLDER/uwsgi;
  scgi_temp_path FOLDER/scgi;
  upstream demilune {
    server 127.0.0.1:UPSTREAM;
    keepalive 1;
  }
  proxy_http_version 1.1;
  proxy_set_header Host a;
  proxy_set_header Connection "";
]]

local CONFIG = nginx.BEGINNING .. [[
  log_format forwarded "$request_id $upstream_status";
  access_log FOLDER/access.log forwarded;
  proxy_set_header X-Id $request_id;
  proxy_next_upstream off;
  proxy_cache_path FOLDER/cache keys_zone=kept:1m;
  proxy_ignore_client_abort on;
  add_header X-Front $request_id always;
  server {
    listen unix:FOLDER/gathers.sock;
    location / { proxy_pass http://demilune; }
  }
  server {
    listen unix:FOLDER/streams.sock;
    proxy_request_buffering off;
    location / { proxy_pass http://demilune; }
  }
  server {
    listen unix:FOLDER/caches.sock;
    proxy_cache kept;
    proxy_cache_valid any 1h;
    add_header X-Cache $upstream_cache_status always;
    location / { proxy_pass http://demilune; }
  }
}
]]

---@class attack.Nginx
---@field sockets string[] paths, by how a body is passed on
---@field cache string path of the cache's
local Nginx = {}
Nginx.__index = Nginx

---@param running server.Running
---@return attack.Nginx
function nginx.start(running)
  local folder = server.make_folder()
  files.write(folder .. "/nginx.conf", (CONFIG:gsub("FOLDER", folder):gsub("UPSTREAM", running.port)))
  local sockets = { folder .. "/gathers.sock", folder .. "/streams.sock" }
  local self = setmetatable({ folder = folder, sockets = sockets, cache = folder .. "/caches.sock" }, Nginx)
  local command = ("env PATH=$PATH:/usr/sbin nginx -p %s -c %s/nginx.conf -e %s/error.log"):format(folder, folder, folder)
  self.process = process.start(folder, command)
  -- It opens one after the other.
  local function listens(path)
    local stream = unix.stream()
    local connected = stream:connect(path)
    stream:close()
    return connected
  end
  local up = server.wait_until(20, function() return listens(sockets[1]) and listens(sockets[2]) and listens(self.cache) end)
  assert(up, "nginx did not start: " .. self.process:log() .. (files.read(folder .. "/error.log") or ""))
  return self
end

--- How many requests it has passed on.
function Nginx:forwarded()
  local count = 0
  for status in (files.read(self.folder .. "/access.log") or ""):gmatch("%x+ ([^\n]+)\n") do
    if status ~= "-" then count = count + 1 end
  end
  return count
end

function Nginx:stop()
  self.process:stop("QUIT")
  server.remove_folder(self.folder)
end

return nginx
