-- SPDX-License-Identifier: MIT
-- A server behind TLS under a certificate for localhost, and the folder that its certificates lie in.

local certificates = require "spec.support.certificates"
local http = require "spec.support.http"
local server = require "spec.support.server"
local tls = require "tests.attack.support.tls"

---@class attack.TlsServer
---@field files certificates.Folder
---@field running server.Running
---@field port integer
local TlsServer = {}
TlsServer.__index = TlsServer

local tls_server = { REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" }

--- Says hello, counts the bytes of a body, and waits minutes for who is slow.
tls_server.HELLO = [[
local demilune = require "demilune"
local app = demilune.app { guard = demilune.guard.public, limits = { idle_timeout = "5m", header_timeout = "5m" } }
app:get("/", function() return "hello" end)
app:post("/count", { body = demilune.model.raw() }, function(req) return { bytes = #req.body } end)
return app
]]

--- `given` as server.start has it; its flags come beside those of the certificate.
---@param app string
---@param given? server.Options
---@param files? certificates.Folder with what the flags name; stop removes it
---@return attack.TlsServer
function tls_server.start(app, given, files)
  files = files or certificates.new()
  local options, flags = {}, files:make("server", { names = "DNS:localhost" })
  for name, value in pairs(given or {}) do options[name] = value end
  for _, flag in ipairs(options.flags or {}) do flags[#flags + 1] = flag end
  options.flags = flags
  local running = server.start(app, options)
  return setmetatable({ files = files, running = running, port = running.port }, TlsServer)
end

--- Ends it, which has to end well.
function TlsServer:stop()
  local status, log = self.running:stop()
  self.files:remove()
  assert(status == 0, log)
end

--- A client that has shaken hands; nil when it could not.
---@param given? attack.TlsOptions
---@return attack.TlsClient?
function TlsServer:client(given) return tls.client(http.connect(self.port), given) end

return tls_server
