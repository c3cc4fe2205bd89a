-- SPDX-License-Identifier: MIT
-- Certificates for end-to-end specs, made by the openssl command in a folder of their own.

local files = require "spec.support.files"
local server = require "spec.support.server"

---@class certificates.Folder
---@field folder string
local Folder = {}
Folder.__index = Folder

local certificates = {}

local function run(command)
  assert(os.execute(command .. " 2>/dev/null") == 0 or os.execute(command) == 0, command)
end

function certificates.new() return setmetatable({ folder = server.make_folder() }, Folder) end

function Folder:path(name) return self.folder .. "/" .. name end

function Folder:remove() server.remove_folder(self.folder) end

--- Writes NAME.pem and NAME.key. `given`: names (subjectAltName), subject ("/CN=..."), rsa, authority, days, issuer (the name of another).
---@param name string
---@param given? { names?: string, subject?: string, rsa?: boolean, authority?: boolean, days?: integer, issuer?: string }
---@return string[] flags that serve it
function Folder:make(name, given)
  given = given or {}
  local key = given.rsa and "rsa:2048" or "ec -pkeyopt ec_paramgen_curve:P-256"
  local words = {
    "openssl req -x509 -nodes -newkey", key, "-subj", ("'%s'"):format(given.subject or "/CN=" .. name), "-days", given.days or 30,
    "-keyout", self:path(name .. ".key"), "-out", self:path(name .. ".pem"),
  }
  if given.names then words[#words + 1] = ("-addext 'subjectAltName=%s'"):format(given.names) end
  if not given.authority then words[#words + 1] = "-addext basicConstraints=critical,CA:FALSE" end
  if given.issuer then words[#words + 1] = ("-CA %s -CAkey %s"):format(self:path(given.issuer .. ".pem"), self:path(given.issuer .. ".key")) end
  run(table.concat(words, " "))
  return { "--tls-cert=" .. self:path(name .. ".pem"), "--tls-key=" .. self:path(name .. ".key") }
end

--- What openssl's own client tells of a connection, with `input` sent on it: of one that ends its side at once, unless -ign_eof is among the flags.
---@param flags? string
function Folder:client(port, flags, input)
  return self:output(("timeout 20 openssl s_client -connect 127.0.0.1:%d %s"):format(port, flags or ""), input)
end

--- What a command printed on both outputs, with `input` on its standard input.
function Folder:output(command, input)
  local path = self:path("input")
  files.write(path, input or "")
  local pipe = assert(io.popen(("%s <%s 2>&1"):format(command, path)))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

return certificates
